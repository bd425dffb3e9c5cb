//! The ACPI power-management timer: a 32-bit counter at 3.579545 MHz (ACPI 6.5, 4.8.3.3).

/// Ticks a second.
const RATE: u128 = 3_579_545;

/// The guest reads from byte `offset` of the counter at `now`, in ns; what lies beyond it is 0.
pub fn read(offset: u16, data: &mut [u8], now: u64) {
    let ticks = u128::from(now) * RATE / 1_000_000_000;
    let [a, b, c, d, ..] = ticks.to_le_bytes();
    let bytes = [a, b, c, d];
    for (place, byte) in (usize::from(offset)..).zip(data) {
        *byte = bytes.get(place).copied().unwrap_or(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(now: u64) -> u32 {
        let mut data = [0; 4];
        read(0, &mut data, now);
        u32::from_le_bytes(data)
    }

    #[test]
    fn it_counts_at_its_rate_and_wraps() {
        assert_eq!(value(1_000_000_000), 3_579_545);
        let wrapped = value(1_200_000_000_000);
        assert_eq!(u64::from(wrapped), 3_579_545 * 1200 % (1 << 32));
    }

    #[test]
    fn a_read_beyond_the_counter_is_zero() {
        let mut data = [0xAA; 8];
        read(2, &mut data, u64::MAX);
        assert_eq!(data[2..], [0; 6]);
    }
}
