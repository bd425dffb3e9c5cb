//! The ACPI power-management timer: a 32-bit counter at 3.579545 MHz that no one can stop (ACPI 6.5,
//! 4.8.3.3).

/// Ticks a second.
const RATE: u128 = 3_579_545;

/// The guest reads from byte `offset` of the counter at `now`, in ns; what lies beyond it is 0.
pub fn read(offset: u16, data: &mut [u8], now: u64) {
    let ticks = u128::from(now) * RATE / 1_000_000_000;
    let counter = ticks.to_le_bytes().into_iter().take(4);
    data.fill(0);
    for (to, from) in data.iter_mut().zip(counter.skip(offset.into())) {
        *to = from;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn counter(now: u64) -> u32 {
        let mut data = [0xAA; 4];
        read(0, &mut data, now);
        u32::from_le_bytes(data)
    }

    #[test]
    fn it_ticks_at_a_quarter_of_the_colour_clock() {
        assert_eq!(counter(0), 0);
        assert_eq!(counter(279), 0);
        assert_eq!(counter(280), 1);
        assert_eq!(counter(SECOND), 3_579_545);
    }

    #[test]
    fn it_wraps_after_twenty_minutes() {
        let wrap = (1_u64 << 32) * SECOND / 3_579_545;
        assert_eq!(counter(wrap), u32::MAX);
        assert_eq!(counter(wrap + 1), 0);
        // Exact still at the end of time: a counter of 64 bits of ticks a nanosecond would be off.
        assert_eq!(
            u128::from(counter(u64::MAX)),
            u128::from(u64::MAX) * 3_579_545 / 1_000_000_000 % (1 << 32)
        );
    }

    #[test]
    fn parts_of_it_can_be_read() {
        let now = 100 * SECOND;
        let [_, b, c, d] = counter(now).to_le_bytes();
        let mut data = [0xAA; 4];
        read(1, &mut data, now);
        assert_eq!(data, [b, c, d, 0]);
        read(4, &mut data, now);
        assert_eq!(data, [0; 4]);
    }
}
