//! What the user types or gives and cannot be used: one line that says what to do, and a 2.

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use tests::{Elf, Vapic, guest, tell, vapic};

/// Runs with these arguments and expects a refusal that holds all of `words`.
fn refused(arguments: &[&str], words: &[&str]) {
    vapic(&[&["run"], arguments].concat()).refused(2, words);
}

fn refused_kernel(bytes: &[u8], words: &[&str]) {
    let folder = TempDir::new().expect("a temporary folder");
    let path = folder.path().join("kernel");
    fs::write(&path, bytes).expect("a file can be written");
    refused(&["--kernel", text(&path)], &[&["kernel"], words].concat());
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a temporary path is UTF-8")
}

#[test]
fn kernels_that_are_none() {
    refused(
        &["--kernel", "/nowhere/kernel"],
        &["does not exist", "--kernel"],
    );
    refused(&["--kernel", "/tmp"], &["not a regular file", "--kernel"]);
    refused(&["--kernel", "/dev/null"], &["not a regular file"]);
    refused(&["--kernel", ""], &["--kernel"]);
    refused_kernel(b"", &["is empty", "again"]);
    refused_kernel(
        b"#!/bin/sh\necho not a kernel\n",
        &["not an ELF64 x86-64 kernel"],
    );
    refused_kernel(&[0; 4096], &["not an ELF64 x86-64 kernel"]);
    let binary = fs::read("/bin/sh").expect("every system has a shell");
    refused_kernel(&binary, &["below 1 MiB", "link it"]);
}

#[test]
fn a_kernel_cut_anywhere_is_truncated() {
    let whole = Elf::new(&[0xF4; 32]); // hlt
    let whole = whole.bytes();
    for length in [4, 5, 63, 64, 65, 119, 120, 121, whole.len() - 1] {
        refused_kernel(&whole[..length], &["is truncated", "again"]);
    }
}

#[test]
fn kernels_for_other_machines() {
    for (offset, value, reason) in [
        (4, 1, "32-bit"),
        (5, 2, "big-endian"),
        (16, 1, "object file"),
        (18, 183, "another processor"),
        (54, 55, "wrong size"),
        (56, 0, "no program headers"),
        (32, 8, "inside the file header"),
    ] {
        let mut kernel = Elf::new(&[0xF4]).bytes().to_vec();
        kernel[offset] = value;
        refused_kernel(&kernel, &[reason]);
    }
}

/// Any byte of the headers may be anything: the file is refused, or runs and comes to an end.
#[test]
fn no_header_makes_it_panic_or_hang() {
    let kernel = guest!(ends_at_once, tell!("exit 0"), "2: hlt", "jmp 2b");
    let folder = TempDir::new().expect("a temporary folder");
    let path = folder.path().join("kernel");
    let (mut refused, mut ran) = (0, 0);
    for offset in 4..120 {
        let mut bytes = kernel.bytes().to_vec();
        bytes[offset] ^= 0xA5;
        fs::write(&path, &bytes).expect("a file can be written");
        let arguments = ["--kernel", text(&path), "--cpus", "1", "--report", "json"];
        let output = vapic(&[&["run"], &arguments[..]].concat());
        if output.code == Some(2) {
            output.refused(2, &["kernel"]);
            refused += 1;
        } else {
            assert!(!output.report().status().is_empty(), "{output:?}");
            ran += 1;
        }
    }
    assert!(refused > 20 && ran > 20, "{refused} refused, {ran} ran");
}

#[test]
fn numbers_of_vcpus() {
    for number in ["0", "256", "-1", "4294967297", "many", "1.5", ""] {
        refused(&[&format!("--cpus={number}")], &["--cpus"]);
    }
}

#[test]
fn sizes_of_memory() {
    for size in ["0", "1M", "16383K"] {
        refused(&["--memory", size], &["too few", "16M"]);
    }
    refused(&["--memory", "16777217"], &["4 KiB", "whole pages"]);
    refused(&["--memory", "100000000"], &["4 KiB"]);
    for size in ["257G", "1000000G"] {
        refused(&["--memory", size], &["too many", "256G"]);
    }
    for size in ["99999999999G", "", "G", "12Q", "1.5G", "0x1000", "-16M"] {
        refused(&[&format!("--memory={size}")], &["--memory"]);
    }
}

#[test]
fn names_and_options_that_do_not_exist() {
    refused(&["--scenario", "dance"], &["dance", "shootdown"]);
    refused(&["--scenario", ""], &["--scenario"]);
    refused(&["--apic", "hardware"], &["userspace", "kernel"]);
    refused(&["--apic-mode", "x3apic"], &["xapic", "x2apic"]);
    refused(&["--report", "xml"], &["table", "json"]);
    refused(&["--no-such-option"], &["--no-such-option", "--help"]);
    refused(&["unexpected"], &["unexpected", "--help"]);
    for seconds in ["-1", "NaN", "inf", "soon", "86401"] {
        refused(&[&format!("--seconds={seconds}")], &["--seconds"]);
    }
    refused(&["--iterations", "-5"], &["-5", "--help"]);
    for command in [
        &["dance"][..],
        &["decode"],
        &["decode", "x"],
        &["probe", "--all"],
    ] {
        vapic(command).refused(2, &["--help"]);
    }
}

#[test]
fn command_lines() {
    refused(&["--cmdline", "a\nb"], &["command line", "ASCII"]);
    refused(&["--cmdline", "schön"], &["command line", "ASCII"]);
    refused(
        &["--cmdline", &"x".repeat(3000)],
        &["command line", "too long"],
    );
    let unknown = vapic(&[
        "run",
        "--cpus",
        "1",
        "--cmdline",
        "scenario=dance",
        "--report",
        "json",
    ]);
    assert_eq!(unknown.code, Some(1), "the guest refuses it: {unknown:?}");
    assert_eq!(unknown.report().status(), "failed");
}

#[test]
fn reports_that_cannot_be_written() {
    let words = ["report", "writable folder"];
    refused(&["--report-file", "/nowhere/report"], &words);
    refused(&["--report-file", "/tmp"], &words);
    refused(&["--report-file", "/proc/report"], &words);
    refused(&["--report-file", ""], &["--report-file"]);
    let full = [
        "run",
        "--scenario",
        "self",
        "--cpus",
        "1",
        "--report-file",
        "/dev/full",
    ];
    let output = vapic(&full);
    output.did_not_panic();
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stderr.contains("/dev/full"), "{output:?}");
}

/// A user's file is not lost to a run that never starts.
#[test]
fn a_refusal_leaves_an_older_report_alone() {
    let folder = TempDir::new().expect("a temporary folder");
    let path = folder.path().join("report");
    fs::write(&path, "precious").expect("a file can be written");
    refused(
        &["--kernel", "/nowhere/kernel", "--report-file", text(&path)],
        &["does not exist"],
    );
    assert_eq!(fs::read_to_string(&path).expect("still there"), "precious");
}

#[test]
fn without_the_device_it_says_what_to_load() {
    let absent = "mount -t tmpfs none /dev";
    for arguments in [&["run"][..], &["run", "--apic", "kernel"], &["probe"]] {
        Vapic::after(absent, arguments)
            .run()
            .refused(1, &["/dev/kvm", "modprobe"]);
    }
}

#[test]
fn without_permission_it_says_which_group() {
    // Not even root may open a device of a file system that is mounted without devices.
    let refused = "mount --bind /dev/kvm /dev/kvm && mount -o remount,bind,nodev /dev/kvm";
    let run = Vapic::after(refused, &["run"]).with_kvm().run();
    run.refused(1, &["no permission", "/dev/kvm", "group kvm"]);
}

#[test]
fn another_device_in_its_place_is_noticed() {
    let other = "mount --bind /dev/null /dev/kvm";
    let run = Vapic::after(other, &["run"]).with_kvm().run();
    run.refused(1, &["/dev/kvm is not a KVM device"]);
}

#[test]
fn without_the_device_the_rest_works() {
    let absent = "mount -t tmpfs none /dev";
    let decode = Vapic::after(absent, &["decode", "0xc4500"]).run();
    assert_eq!(decode.code, Some(0), "{decode:?}");
    assert!(decode.stdout.contains("INIT"), "{decode:?}");
    Vapic::after(absent, &["run", "--cpus", "0"])
        .run()
        .refused(2, &["--cpus"]);
}
