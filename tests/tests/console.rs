//! The serial port and the streams of the host behind it: how slow these may be is theirs to say.

use std::io::{self, Read, Write};
use std::thread;
use std::time::Duration;

use tests::{Vapic, guest, say, tell};

/// A guest that prints for ever.
macro_rules! spew {
    ($name:ident) => {
        guest!(
            $name,
            r"
            mov   edx, 0x3F8
            mov   al, 'A'
        1:  out   dx, al
            jmp   1b
            "
        )
    };
}

#[test]
fn a_reader_that_stalls_does_not_hold_up_the_end_of_the_run() {
    let guest = spew!(prints_until_the_timeout);
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let path = folder.path().join("report");
    let file = path.to_str().expect("a temporary path is UTF-8");
    let (reader, writer) = io::pipe().expect("a pipe");
    // Standard output is the guest's console, and nobody reads it.
    let arguments = ["--timeout", "2", "--report-file", file];
    let output = Vapic::guest(&guest, &arguments)
        .stdout(writer)
        .limit(Duration::from_secs(60))
        .run();
    drop(reader);
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stderr.contains("--timeout"), "{output:?}");
}

#[test]
fn a_reader_that_stalls_does_not_hold_up_a_signal() {
    let guest = spew!(prints_until_a_signal);
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let path = folder.path().join("report");
    let file = path.to_str().expect("a temporary path is UTF-8");
    let (mut reader, writer) = io::pipe().expect("a pipe");
    let running = Vapic::guest(&guest, &["--report-file", file])
        .stdout(writer)
        .limit(Duration::from_secs(60))
        .start();
    reader.read_exact(&mut [0; 1]).expect("the guest prints");
    // Time to fill the pipe.
    thread::sleep(Duration::from_secs(2));
    running.signal("TERM");
    let output = running.wait();
    assert_eq!(output.code, Some(0), "{output:?}");
}

#[test]
fn input_that_comes_faster_than_it_is_read_comes_whole() {
    // Reads slowly and says what it has read; the end of the input is a full stop.
    let guest = guest!(
        reads_slowly,
        r"
            xor   r12d, r12d
            xor   r13d, r13d
        1:  mov   edx, 0x3FD
            in    al, dx
            test  al, 1
            jz    1b
            mov   edx, 0x3F8
            in    al, dx
            cmp   al, '.'
            je    3f
            out   dx, al
            mov   ecx, 1000
        2:  dec   ecx
            jnz   2b
            jmp   1b
        3:
        ",
        say!(""),
        tell!("exit 0"),
        "4: hlt",
        "jmp 4b",
    );
    let (reader, mut writer) = io::pipe().expect("a pipe");
    let text: String = (b'a'..=b'z').cycle().take(5000).map(char::from).collect();
    let typed = format!("{text}.");
    let running = Vapic::guest(&guest, &["--report", "json"])
        .stdin(reader)
        .limit(Duration::from_secs(60))
        .start();
    writer.write_all(typed.as_bytes()).expect("a pipe has room");
    // The pipe stays open: the last byte must come without another event.
    let output = running.wait();
    drop(writer);
    let _ = output.passed();
    assert_eq!(output.stderr.trim_end(), text, "{output:?}");
}
