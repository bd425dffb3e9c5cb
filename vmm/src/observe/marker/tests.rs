use super::*;

fn fields(text: &str) -> Fields {
    Fields::parse(text.split_ascii_whitespace()).expect("well-formed fields")
}

#[test]
fn every_word_of_the_port_is_understood() {
    for (line, marker) in [
        (
            "begin shootdown way=unicast targets=3",
            Marker::Begin("shootdown".into(), fields("way=unicast targets=3")),
        ),
        (
            "begin self",
            Marker::Begin("self".into(), Fields::default()),
        ),
        (
            "end cycles_median=151000",
            Marker::End(fields("cycles_median=151000")),
        ),
        ("end", Marker::End(Fields::default())),
        (
            "result shootdown cycles_per_target=1200.5",
            Marker::Result("shootdown".into(), fields("cycles_per_target=1200.5")),
        ),
        (
            "fail shootdown stale read on cpu 2",
            Marker::Fail("shootdown".into(), "stale read on cpu 2".into()),
        ),
        ("exit 0", Marker::Exit(0)),
    ] {
        assert_eq!(Marker::parse(line.as_bytes()), Some(marker), "{line}");
    }
}

#[test]
fn values_keep_their_type() {
    for (text, value) in [
        ("7", Value::Whole(7)),
        ("-7", Value::Whole(-7)),
        ("18446744073709551615", Value::Large(u64::MAX)),
        ("2.50", Value::Decimal(2.5)),
        ("x2apic", Value::Text("x2apic".into())),
        ("", Value::Text(String::new())),
        ("1.2.3", Value::Text("1.2.3".into())),
        ("nan", Value::Text("nan".into())),
        ("inf", Value::Text("inf".into())),
        ("1e400", Value::Text("1e400".into())),
        ("0x10", Value::Text("0x10".into())),
    ] {
        assert_eq!(Value::parse(text), value, "{text:?}");
    }
    let beyond = "9".repeat(400);
    assert_eq!(Value::parse(&beyond), Value::Text(beyond.clone()));
}

#[test]
fn fields_come_back_from_json_in_their_order() {
    let fields = fields("way=unicast targets=3 large=18446744073709551615 each=2.5 back=-1");
    let json = serde_json::to_string(&fields).expect("fields are JSON");
    assert_eq!(serde_json::from_str::<Fields>(&json).ok(), Some(fields));
    assert!(serde_json::from_str::<Fields>("[1, 2]").is_err());
}

#[test]
fn what_is_no_marker_is_refused() {
    for line in [
        "",
        "   ",
        "begin",
        "begin Shootdown",
        "begin a=b",
        "begin shootdown key",
        "begin shootdown =1",
        "begin shootdown K=1",
        "end of line",
        "result",
        "fail",
        "exit",
        "exit -1",
        "exit 99999999999",
        "halt 0",
        "begin shootdown a=\u{7f}",
        "begin shootdown a=\u{1b}[2J",
        "fail shootdown caf\u{e9}",
    ] {
        assert_eq!(Marker::parse(line.as_bytes()), None, "{line:?}");
    }
    let name = "n".repeat(33);
    assert_eq!(Marker::parse(format!("begin {name}").as_bytes()), None);
}

#[test]
fn a_repeated_key_keeps_its_last_value() {
    let repeated = fields("a=1 b=2 a=3");
    assert_eq!(repeated.get("a"), Some(&Value::Whole(3)));
    assert_eq!(repeated.iter().count(), 2);
    assert_eq!(
        serde_json::to_string(&repeated).ok().as_deref(),
        Some(r#"{"a":3,"b":2}"#)
    );
}

#[test]
fn a_line_may_come_in_pieces() {
    let mut line = LineBuffer::new();
    let markers: Vec<_> = b"ex"
        .iter()
        .chain(b"it 3\nexit 4")
        .filter_map(|&byte| line.push(byte))
        .collect();
    assert_eq!(markers, [Line::parse(b"exit 3")]);
    assert_eq!(line.push(b'\n'), Some(Line::parse(b"exit 4")));
}

#[test]
fn an_overlong_line_is_dropped_whole_and_the_next_is_read() {
    let mut line = LineBuffer::new();
    for filler in [1, 2, 1_000_000] {
        let overlong = format!("fail x {}", "y".repeat(LONGEST_LINE - 8 + filler));
        assert!(overlong.bytes().all(|byte| line.push(byte).is_none()));
        // The first fits exactly.
        assert_eq!(
            line.push(b'\n').is_some_and(|marker| marker.is_ok()),
            filler == 1
        );
        assert!(line.bytes.capacity() <= 2 * LONGEST_LINE);
    }
    let next: Vec<_> = b"exit 0\n"
        .iter()
        .filter_map(|&byte| line.push(byte))
        .collect();
    assert_eq!(next, [Line::parse(b"exit 0")]);
}

#[test]
fn random_bytes_neither_panic_nor_grow_the_buffer() {
    // xorshift64: repeatable, and good enough to reach odd corners.
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut line = LineBuffer::new();
    let words: [&[u8]; 8] = [
        b"begin ", b"end ", b"a=", b"=", b"exit ", b" ", b"\n", b"self",
    ];
    let mut lines = 0;
    for _ in 0..200_000 {
        let choice = random();
        let piece: &[u8] = match choice & 15 {
            at @ 0..=7 => words[usize::try_from(at).unwrap_or(0)],
            _ => &choice.to_le_bytes()[..3],
        };
        lines += piece.iter().filter_map(|&byte| line.push(byte)).count();
        assert!(line.bytes.len() <= LONGEST_LINE);
    }
    assert!(lines > 1_000);
}
