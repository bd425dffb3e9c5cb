use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::Color;

use super::*;
use crate::control::snapshot::Snapshot;
use crate::top::example;
use crate::top::interval::Interval;

/// A screen of a size after some keys, `\n` being Enter.
fn screen(size: (u16, u16), snapshots: &[Snapshot; 2], theme: Theme, keys: &str) -> Buffer {
    let mut controls = Controls::new(Duration::from_millis(250));
    for key in keys.chars() {
        let code = match key {
            '\n' => KeyCode::Enter,
            key => KeyCode::Char(key),
        };
        controls.key(KeyEvent::new(code, KeyModifiers::NONE));
    }
    let [earlier, later] = snapshots;
    let interval = Interval::between(earlier, later).unwrap();
    let (selected, _) = controls.filter.vcpus(later.vcpus.len());
    let rates = Rates::new(&interval, later, |vcpu| selected[vcpu]);
    let scene = Scene {
        about: Some((&later.about, later.vcpus.len())),
        rates: Some(&rates),
        silent: false,
        theme,
    };
    let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
    terminal
        .draw(|frame| draw(frame, &scene, &mut controls))
        .unwrap();
    terminal.backend().buffer().clone()
}

fn lines(buffer: &Buffer) -> Vec<String> {
    let width = usize::from(buffer.area.width);
    let rows = buffer.content().chunks(width);
    rows.map(|row| {
        let text: String = row.iter().map(|cell| cell.symbol()).collect();
        text.trim_end().to_owned()
    })
    .collect()
}

fn text(size: (u16, u16), keys: &str) -> String {
    let buffer = screen(size, &example::snapshots(), Theme::Plain, keys);
    lines(&buffer).join("\n")
}

#[test]
fn all_of_it_fits_the_smallest_common_terminal() {
    let text = text((80, 24), "");
    assert_eq!(
        text,
        include_str!("screen_80x24.txt").trim_end_matches('\n'),
        "\n{text}"
    );
}

/// The same with this many vCPUs, of which every fourth is like the first, and so on.
fn snapshots_of(vcpus: usize) -> [Snapshot; 2] {
    example::snapshots().map(|mut snapshot| {
        let four = snapshot.vcpus.clone();
        snapshot.vcpus = four.into_iter().cycle().take(vcpus).collect();
        let mut matrix = vec![vec![0; vcpus]; vcpus];
        for (row, known) in matrix.iter_mut().zip(&snapshot.matrix) {
            row[..known.len()].copy_from_slice(known);
        }
        snapshot.matrix = matrix;
        snapshot.from_devices = vec![0; vcpus];
        snapshot
    })
}

#[test]
fn a_larger_terminal_shows_more() {
    let text = text((120, 40), "");
    for word in ["local", "guest%", "EOI", "61.00"] {
        assert!(text.contains(word), "{word}\n{text}");
    }
}

#[test]
fn many_vcpus_scroll_and_leave_room_for_the_rest() {
    let snapshots = snapshots_of(64);
    let draw = |keys| lines(&screen((80, 24), &snapshots, Theme::Plain, keys)).join("\n");
    let top = draw("");
    assert!(top.contains("- vCPUs, 1 to 9 of 64 -"), "\n{top}");
    assert!(
        top.contains("- exits -") && top.contains("\nAPIC ICR"),
        "\n{top}"
    );
    assert!(top.contains("busiest 5 of 64"), "\n{top}");
    let scrolled = draw("jjj");
    assert!(
        scrolled.contains("- vCPUs, 4 to 12 of 64 -"),
        "\n{scrolled}"
    );
    assert!(scrolled.contains("\n11  "), "\n{scrolled}");
}

#[test]
fn panels_and_filters_choose_what_is_seen() {
    let vcpus = text((80, 24), "x");
    assert!(
        vcpus.contains("- vCPUs") && !vcpus.contains("- exits"),
        "\n{vcpus}"
    );
    let exits = text((80, 24), "xx");
    assert!(
        exits.contains("- exits") && !exits.contains("- vCPUs"),
        "\n{exits}"
    );
    let matrix = text((80, 24), "xxx");
    assert!(
        matrix.contains("- deliveries/s, source x target"),
        "\n{matrix}"
    );

    let one = text((80, 24), "fvcpu2\n");
    assert!(
        one.contains("- exits of these vCPUs -") && one.contains("\nkick "),
        "\n{one}"
    );
    assert!(
        !one.contains("APIC ICR") && one.contains("filter: vcpu2"),
        "\n{one}"
    );
    let causes = text((80, 24), "feoi|window\n");
    assert!(
        causes.contains("\nAPIC EOI ") && causes.contains("\ninterrupt window "),
        "\n{causes}"
    );
    assert!(
        !causes.contains("APIC ICR") && causes.contains("\n3  "),
        "\n{causes}"
    );
}

#[test]
fn what_is_typed_is_seen_with_what_is_wrong_about_it() {
    let typing = text((80, 24), "feoi(\n");
    assert!(
        typing.contains("\nfilter (regex): eoi(_  unclosed group"),
        "\n{typing}"
    );
    let help = text((80, 24), "?");
    assert!(
        help.contains("pause, and go on") && help.contains("any key goes back"),
        "\n{help}"
    );
    assert!(
        help.contains("from sending to injection"),
        "all of the help is seen\n{help}"
    );
    assert!(text((80, 24), "p").contains("PAUSED"));
}

#[test]
fn every_size_can_be_drawn() {
    for (width, height) in [
        (1, 1),
        (39, 8),
        (40, 7),
        (40, 8),
        (43, 60),
        (57, 13),
        (80, 9),
        (81, 25),
        (110, 8),
        (250, 70),
    ] {
        for keys in ["", "xxx", "?"] {
            screen((width, height), &example::snapshots(), Theme::Plain, keys);
        }
    }
    assert_eq!(text((39, 24), "").trim(), "needs 40x8");
}

#[test]
fn there_are_colours_unless_the_user_wants_none() {
    let coloured = |theme| {
        let buffer = screen((80, 24), &example::snapshots(), theme, "");
        let cells = buffer.content().iter();
        cells
            .filter(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset)
            .count()
    };
    assert!(coloured(Theme::Colours) > 0);
    assert_eq!(coloured(Theme::Plain), 0);
}

#[test]
fn kvms_apic_shows_exits_alone() {
    let mut snapshots = example::snapshots();
    snapshots
        .iter_mut()
        .for_each(|snapshot| snapshot.ipis_observed = false);
    let text = lines(&screen((80, 24), &snapshots, Theme::Plain, "")).join("\n");
    assert!(
        text.contains("neither IPIs nor sleep") && !text.contains("source x target"),
        "\n{text}"
    );
}
