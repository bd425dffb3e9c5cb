use super::*;

const DATA_PORT: u16 = RTC_PORT + 1;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Sunday, 2024-12-29 23:59:58 UTC.
const EPOCH: u64 = 1_735_516_798;

/// Seconds, minutes, hours, day of the week, of the month, month, year, century.
const TIME: [u8; 8] = [0, 2, 4, 6, 7, 8, 9, 0x32];

fn clock() -> Cmos {
    Cmos::new(EPOCH, 512 * MIB, 4)
}

fn at(clock: &mut Cmos, index: u8, second: u64) -> u8 {
    clock.write(RTC_PORT, index, 0);
    clock.read(DATA_PORT, second * NS_PER_SECOND)
}

fn write(clock: &mut Cmos, index: u8, value: u8, second: u64) {
    clock.write(RTC_PORT, index, 0);
    clock.write(DATA_PORT, value, second * NS_PER_SECOND);
}

fn time(clock: &mut Cmos, second: u64) -> [u8; 8] {
    TIME.map(|index| at(clock, index, second))
}

fn number(clock: &mut Cmos, indices: &[u8]) -> u64 {
    let bytes = indices.iter().rev();
    bytes.fold(0, |sum, &index| sum << 8 | u64::from(at(clock, index, 0)))
}

#[test]
fn the_time_is_decimal_and_of_24_hours_unless_asked() {
    let mut clock = clock();
    assert_eq!(
        time(&mut clock, 0),
        [0x58, 0x59, 0x23, 1, 0x29, 0x12, 0x24, 0x20]
    );
    write(&mut clock, STATUS_B, 0x06, 0);
    assert_eq!(time(&mut clock, 0), [58, 59, 23, 1, 29, 12, 24, 20]);
}

#[test]
fn it_goes_on() {
    let mut clock = clock();
    assert_eq!(
        time(&mut clock, 2),
        [0x00, 0x00, 0x00, 2, 0x30, 0x12, 0x24, 0x20]
    );
    assert_eq!(
        time(&mut clock, 2 + 2 * 86_400),
        [0x00, 0x00, 0x00, 4, 0x01, 0x01, 0x25, 0x20]
    );
}

#[test]
fn twelve_hours_have_an_afternoon() {
    let mut clock = clock();
    write(&mut clock, STATUS_B, 0x00, 0);
    for (hour, register) in [
        (0, 0x12),
        (1, 0x01),
        (11, 0x11),
        (12, 0x92),
        (13, 0x81),
        (23, 0x91),
    ] {
        assert_eq!(at(&mut clock, 4, 2 + hour * 3600), register, "{hour}");
    }
}

/// As Linux's `mc146818_set_time` does it.
#[test]
fn it_can_be_set() {
    for (format, values) in [
        (0x02, [0x56, 0x34, 0x12, 1, 0x28, 0x02, 0x99, 0x19]),
        (0x00, [0x56, 0x34, 0x92, 1, 0x28, 0x02, 0x99, 0x19]),
        (0x06, [56, 34, 12, 1, 28, 2, 99, 19]),
    ] {
        let mut clock = clock();
        write(&mut clock, STATUS_B, SET | format, 100);
        for (index, value) in TIME.into_iter().zip(values) {
            write(&mut clock, index, value, 100);
        }
        assert_eq!(time(&mut clock, 200), values, "it stands still");
        write(&mut clock, STATUS_B, format, 200);
        assert_eq!(time(&mut clock, 200), values);
        let [second, ..] = time(&mut clock, 201);
        assert_eq!(second, values[0] + 1);
    }
}

#[test]
fn what_is_not_touched_stays() {
    let mut clock = clock();
    let [_, rest @ ..] = time(&mut clock, 0);
    write(&mut clock, STATUS_B, SET | 0x02, 0);
    write(&mut clock, 0, 0x30, 0);
    write(&mut clock, STATUS_B, 0x02, 0);
    let [second, others @ ..] = time(&mut clock, 0);
    assert_eq!((second, others), (0x30, rest));
}

#[test]
fn neither_what_is_no_date_nor_a_write_while_it_runs_sets_it() {
    let mut clock = clock();
    let before = time(&mut clock, 0);
    for (index, value) in [(8, 0x13), (7, 0x32), (4, 0x24), (0, 0x5A), (7, 0)] {
        write(&mut clock, STATUS_B, SET | 0x02, 0);
        write(&mut clock, index, value, 0);
        write(&mut clock, STATUS_B, 0x02, 0);
        assert_eq!(time(&mut clock, 0), before, "{index:#x} {value:#x}");
        write(&mut clock, index, value, 0);
        assert_eq!(time(&mut clock, 0), before, "{index:#x} {value:#x}");
    }
}

#[test]
fn the_status_registers() {
    let mut clock = clock();
    assert_eq!(at(&mut clock, STATUS_A, 0), 0x26);
    write(&mut clock, STATUS_A, 0xFF, 0);
    assert_eq!(at(&mut clock, STATUS_A, 0), 0x7F, "no update in progress");
    assert_eq!(at(&mut clock, STATUS_B, 0), 0x02);
    write(&mut clock, STATUS_D, 0, 0);
    assert_eq!(at(&mut clock, STATUS_D, 0), 0x80);
}

#[test]
fn each_second_is_told_once() {
    let mut clock = clock();
    assert_eq!(at(&mut clock, STATUS_C, 0), 0);
    assert_eq!(at(&mut clock, STATUS_C, 1), 0x10);
    assert_eq!(at(&mut clock, STATUS_C, 1), 0);
    write(&mut clock, STATUS_B, 0x12, 1);
    assert_eq!(at(&mut clock, STATUS_C, 5), 0x90);
    assert_eq!(at(&mut clock, STATUS_C, 5), 0);
}

#[test]
fn firmware_left_the_sizes_of_memory() {
    for (memory, below_64_mib, above_16_mib, above_4_gib) in [
        (16 * MIB, 15 << 10, 0, 0),
        (32 * MIB, 31 << 10, 16 << 4, 0),
        (512 * MIB, 0xFC00, 496 << 4, 0),
        (3 * GIB, 0xFC00, (3072 - 16) << 4, 0),
        (5 * GIB, 0xFC00, (3072 - 16) << 4, 2 << 14),
        (2048 * GIB, 0xFC00, (3072 - 16) << 4, 2045 << 14),
    ] {
        let clock = &mut Cmos::new(EPOCH, memory, 1);
        assert_eq!(number(clock, &[0x15, 0x16]), LOW_RAM_END >> 10);
        assert_eq!(number(clock, &[0x17, 0x18]), below_64_mib, "{memory:#x}");
        assert_eq!(number(clock, &[0x30, 0x31]), below_64_mib, "{memory:#x}");
        assert_eq!(number(clock, &[0x34, 0x35]), above_16_mib, "{memory:#x}");
        let above_4_gib = above_4_gib & 0xFF_FFFF;
        assert_eq!(
            number(clock, &[0x5B, 0x5C, 0x5D]),
            above_4_gib,
            "{memory:#x}"
        );
    }
}

#[test]
fn firmware_left_the_number_of_processors() {
    for (vcpus, last) in [(0, 0), (1, 0), (4, 3), (256, 255), (1000, 255)] {
        let clock = &mut Cmos::new(EPOCH, 512 * MIB, vcpus);
        assert_eq!(at(clock, 0x5F, 0), last);
    }
}

#[test]
fn the_rest_is_memory() {
    let mut clock = clock();
    // The highest bit of the index is the NMI mask.
    write(&mut clock, 0x80 | 0x0F, 0x0A, 0);
    assert_eq!(at(&mut clock, 0x0F, 9), 0x0A);
}

#[test]
fn no_time_upsets_it() {
    for epoch in [0, EPOCH, u64::MAX] {
        let mut clock = Cmos::new(epoch, u64::MAX, u32::MAX);
        for index in 0..=255 {
            for value in [0x00, 0x80, 0xFF] {
                clock.write(RTC_PORT, index, u64::MAX);
                clock.write(DATA_PORT, value, u64::MAX);
                let _ = clock.read(DATA_PORT, u64::MAX);
            }
        }
    }
}
