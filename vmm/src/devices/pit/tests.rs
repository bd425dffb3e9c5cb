use super::*;

const MILLISECOND: u64 = 1_000_000;
const BOTH: u8 = 3 << 4;

/// The first ns of a tick.
fn ns(tick: u64) -> u64 {
    u64::try_from((u128::from(tick) * NS_PER_SECOND).div_ceil(RATE)).unwrap()
}

fn load(pit: &mut Pit, channel: u16, count: u16, now: u64) {
    for byte in count.to_le_bytes() {
        pit.write(PIT_PORT + channel, byte, now);
    }
}

/// A timer of which a channel was programmed at 0, so that it counts from tick 1 on.
fn started(channel: u8, mode: u8, count: u16) -> Pit {
    let mut pit = Pit::new();
    pit.write(SYSTEM_CONTROL_PORT, GATE_2, 0);
    pit.write(CONTROL, channel << 6 | BOTH | mode << 1, 0);
    load(&mut pit, channel.into(), count, 0);
    pit
}

fn count(pit: &mut Pit, channel: u8, tick: u64) -> u16 {
    pit.write(CONTROL, channel << 6, ns(tick));
    let port = PIT_PORT + u16::from(channel);
    // The latched count stands still between its bytes.
    u16::from_le_bytes([pit.read(port, ns(tick)), pit.read(port, ns(tick + 777))])
}

/// The outputs of a channel over some ticks, a digit each.
fn wave(pit: &Pit, channel: usize, ticks: std::ops::Range<u64>) -> String {
    let digit = |tick| {
        if pit.output(channel, ns(tick)) {
            '1'
        } else {
            '0'
        }
    };
    ticks.map(digit).collect()
}

#[test]
fn a_tick_is_exact_for_centuries() {
    assert_eq!(ticks(1_000_000_000), 1_193_182);
    for tick in [0, 1, 2, 1_193_182, 1 << 53, (1 << 53) + 1] {
        assert_eq!(ticks(ns(tick)), tick);
        assert_eq!(ticks(ns(tick + 1) - 1), tick);
    }
}

#[test]
fn mode_0_rises_a_tick_after_the_count_and_stays() {
    assert_eq!(wave(&started(0, 0, 4), 0, 0..9), "000001111");
}

#[test]
fn mode_1_waits_for_the_gate() {
    let mut pit = started(2, 1, 3);
    assert_eq!(wave(&pit, 2, 0..5), "11111");
    pit.write(SYSTEM_CONTROL_PORT, 0, ns(5));
    pit.write(SYSTEM_CONTROL_PORT, GATE_2, ns(6));
    assert_eq!(wave(&pit, 2, 7..12), "00011");
    // A second trigger makes it anew.
    pit.write(SYSTEM_CONTROL_PORT, 0, ns(8));
    pit.write(SYSTEM_CONTROL_PORT, GATE_2, ns(8));
    assert_eq!(wave(&pit, 2, 9..14), "00011");
}

#[test]
fn mode_2_is_low_for_the_last_tick_of_a_round() {
    assert_eq!(wave(&started(0, 2, 3), 0, 1..11), "1101101101");
    assert_eq!(wave(&started(0, 6, 3), 0, 1..11), "1101101101");
}

#[test]
fn mode_3_is_high_for_the_longer_half() {
    assert_eq!(wave(&started(0, 3, 4), 0, 1..11), "1100110011");
    assert_eq!(wave(&started(0, 3, 5), 0, 1..12), "11100111001");
}

#[test]
fn mode_4_strobes_for_a_tick_after_the_count() {
    let mut pit = started(0, 4, 3);
    assert_eq!(wave(&pit, 0, 1..8), "1110111");
    assert_eq!(pit.deadline(), Some(ns(5)));
    assert!(pit.advance(ns(5)));
    assert_eq!(pit.deadline(), None);
}

#[test]
fn counts_go_down() {
    for (mode, counts) in [
        (0, [4, 3, 2, 1, 0, 0xFFFF]),
        (2, [4, 3, 2, 1, 4, 3]),
        (3, [4, 2, 4, 2, 4, 2]),
    ] {
        let mut pit = started(0, mode, 4);
        let read = [1, 2, 3, 4, 5, 6].map(|tick| count(&mut pit, 0, tick));
        assert_eq!(read, counts, "mode {mode}");
    }
    let mut odd = started(0, 3, 5);
    let read = [1, 2, 3, 4, 5, 6].map(|tick| count(&mut odd, 0, tick));
    assert_eq!(read, [4, 2, 0, 4, 2, 4]);
}

#[test]
fn a_count_of_0_is_the_longest() {
    let mut pit = started(0, 2, 0);
    assert_eq!(count(&mut pit, 0, 1), 0);
    assert_eq!(count(&mut pit, 0, 2), 0xFFFF);
    assert_eq!(pit.deadline(), Some(ns(1 + 0x1_0000)));
}

#[test]
fn decimal_counts() {
    let mut pit = Pit::new();
    pit.write(CONTROL, BOTH | 2 << 1 | 1, 0);
    load(&mut pit, 0, 0x1000, 0);
    assert_eq!(count(&mut pit, 0, 2), 0x0999);
    assert_eq!(pit.deadline(), Some(ns(1001)));
    load(&mut pit, 0, 0, ns(2));
    assert!(pit.advance(ns(1001)));
    assert_eq!(pit.deadline(), Some(ns(11_001)));
}

#[test]
fn one_interrupt_a_round_and_missed_rounds_are_one() {
    let mut pit = started(0, 2, 1193);
    assert_eq!(pit.deadline(), Some(ns(1194)));
    assert!(!pit.advance(ns(1194) - 1));
    assert!(pit.advance(ns(1194)));
    assert!(!pit.advance(ns(1194)));
    assert_eq!(pit.deadline(), Some(ns(1194 + 1193)));
    assert!(pit.advance(ns(1193 * 50)));
    assert!(!pit.advance(ns(1193 * 50)));
    assert_eq!(pit.deadline(), Some(ns(1 + 1193 * 50)));
}

#[test]
fn no_interrupt_is_lost_to_the_next_programming() {
    let mut pit = started(0, 0, 10);
    pit.write(CONTROL, BOTH, ns(20));
    load(&mut pit, 0, 10, ns(20));
    assert_eq!(pit.deadline(), Some(0));
    assert!(pit.advance(ns(20)));
    assert!(!pit.advance(ns(30)));
    assert!(pit.advance(ns(31)));
}

#[test]
fn a_new_count_waits_for_the_end_of_the_round() {
    let mut pit = started(0, 2, 10);
    load(&mut pit, 0, 3, ns(5));
    assert_eq!(wave(&pit, 0, 8..18), "1101101101");
    pit.write(CONTROL, 0xE2, ns(5));
    assert_eq!(pit.read(PIT_PORT, ns(5)) & 0x40, 0x40);
    assert_eq!(pit.deadline(), Some(ns(11)));
    assert!(pit.advance(ns(11)));
    assert_eq!(pit.deadline(), Some(ns(14)));
}

#[test]
fn in_mode_0_the_first_byte_stops_the_count() {
    let mut pit = started(0, 0, 10);
    pit.write(PIT_PORT, 5, ns(5));
    assert_eq!(pit.deadline(), None);
    assert!(!pit.advance(ns(1000)));
    pit.write(PIT_PORT, 0, ns(1000));
    assert_eq!(pit.deadline(), Some(ns(1006)));
}

#[test]
fn a_round_of_one_tick_never_rises() {
    let mut pit = started(0, 2, 1);
    assert_eq!(pit.deadline(), None);
    assert!(!pit.advance(MILLISECOND));
}

#[test]
fn single_bytes_are_counts_too() {
    let mut pit = Pit::new();
    pit.write(CONTROL, 1 << 4 | 2 << 1, 0);
    pit.write(PIT_PORT, 7, 0);
    assert_eq!(pit.read(PIT_PORT, ns(2)), 6);
    assert_eq!(pit.deadline(), Some(ns(8)));
    pit.write(CONTROL, 2 << 4 | 2 << 1, 0);
    pit.write(PIT_PORT, 7, 0);
    assert_eq!(pit.read(PIT_PORT, ns(2)), 6);
    assert_eq!(pit.deadline(), Some(ns(0x701)));
}

/// As Linux calibrates the TSC (`pit_calibrate_tsc`), and Xen: gate on, speaker off, one shot.
#[test]
fn channel_2_is_timed_through_port_61() {
    let mut pit = Pit::new();
    let value = pit.read(SYSTEM_CONTROL_PORT, 0) & !SPEAKER | GATE_2;
    pit.write(SYSTEM_CONTROL_PORT, value, 0);
    pit.write(CONTROL, 0xB0, 0);
    load(&mut pit, 2, 11_931, 0);
    let high = |pit: &mut Pit, now| pit.read(SYSTEM_CONTROL_PORT, now) & OUTPUT_2 != 0;
    assert!(!high(&mut pit, 0));
    assert!(!high(&mut pit, 9_990_000));
    assert!(high(&mut pit, 10_010_000));
}

#[test]
fn the_gate_suspends_mode_0_and_restarts_mode_2() {
    // Two ticks after the gate: mode 0 goes on from 7, mode 2 has loaded 10 in the first.
    for (mode, left) in [(0, 5), (2, 9)] {
        let mut pit = started(2, mode, 10);
        pit.write(SYSTEM_CONTROL_PORT, 0, ns(4));
        let held = count(&mut pit, 2, 5);
        assert_eq!(count(&mut pit, 2, 500), held);
        pit.write(SYSTEM_CONTROL_PORT, GATE_2, ns(1000));
        assert_eq!(count(&mut pit, 2, 1002), left, "mode {mode}");
    }
}

#[test]
fn without_its_gate_channel_2_does_not_count() {
    let mut pit = Pit::new();
    pit.write(CONTROL, 0xB0, 0);
    load(&mut pit, 2, 10, 0);
    assert!(!pit.output(2, MILLISECOND));
    pit.write(SYSTEM_CONTROL_PORT, GATE_2, MILLISECOND);
    assert!(pit.output(2, 2 * MILLISECOND));
}

#[test]
fn the_refresh_toggles_every_15_microseconds() {
    let mut pit = Pit::new();
    let at = |pit: &mut Pit, tick| pit.read(SYSTEM_CONTROL_PORT, ns(tick)) & REFRESH;
    assert_eq!(at(&mut pit, 17), 0);
    assert_eq!(at(&mut pit, 18), REFRESH);
    assert_eq!(at(&mut pit, 36), 0);
}

#[test]
fn the_read_back_command_tells_the_state_before_the_count() {
    let mut pit = started(0, 2, 100);
    pit.write(CONTROL, 0xC2, ns(1));
    assert_eq!(pit.read(PIT_PORT, ns(50)), 0xB4);
    assert_eq!(pit.read(PIT_PORT, ns(50)), 100);
    assert_eq!(pit.read(PIT_PORT, ns(50)), 0);
    // No count since the control word: the null count bit.
    pit.write(CONTROL, 0x36, ns(50));
    pit.write(CONTROL, 0xE2, ns(50));
    assert_eq!(pit.read(PIT_PORT, ns(50)), 0xF6);
}

#[test]
fn no_byte_in_any_port_upsets_it() {
    let mut pit = Pit::new();
    let mut state = 1_u32;
    for now in (0..20_000).map(ns).chain([u64::MAX; 2000]) {
        state = state.wrapping_mul(0x0019_660D).wrapping_add(0x3C6E_F35F);
        let [_, _, value, pick] = state.to_le_bytes();
        let port = match pick % 6 {
            5 => SYSTEM_CONTROL_PORT,
            port => PIT_PORT + u16::from(port),
        };
        pit.write(port, value, now);
        let _ = (pit.read(port, now), pit.output(pick.into(), now));
        pit.advance(now);
        assert!(!pit.advance(now), "a rise is told once");
        assert!(
            pit.deadline()
                .is_none_or(|deadline| deadline > now || now == u64::MAX)
        );
    }
}
