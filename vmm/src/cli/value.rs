//! The values of options: sizes, times and numbers.

use std::time::Duration;

pub(super) fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        _ => return Err("give bytes, or a number with K, M or G, such as 128M".to_owned()),
    };
    let number: u64 = digits
        .parse()
        .map_err(|_| "give a size such as 128M".to_owned())?;
    number
        .checked_mul(1 << shift)
        .ok_or_else(|| "that is more than 64 bits".to_owned())
}

pub(super) fn parse_seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=86_400.0).contains(&seconds) => Ok(seconds),
        _ => Err("give seconds from 0 to 86400, such as 30 or 0.5".to_owned()),
    }
}

/// Time between two looks at a VM.
pub(crate) fn parse_interval(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.1..=3600.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("give seconds from 0.1 to 3600, such as 0.25".to_owned()),
    }
}

pub(super) fn parse_number(text: &str) -> Result<u64, String> {
    let digits = text.replace('_', "");
    let parsed = match digits
        .strip_prefix("0x")
        .or_else(|| digits.strip_prefix("0X"))
    {
        Some(hexadecimal) => u64::from_str_radix(hexadecimal, 16),
        None => digits.parse(),
    };
    parsed.map_err(|_| "give a number of up to 64 bits, such as 0x1000040fd".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_numbers() {
        assert_eq!(parse_size("128M"), Ok(128 << 20));
        assert_eq!(parse_size("4096"), Ok(4096));
        assert_eq!(parse_size("2g"), Ok(2 << 30));
        for wrong in ["", "M", "12Q", "-1", "99999999999G", "1.5G", "é"] {
            assert!(parse_size(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(parse_number("0x1_0000_40fd"), Ok(0x1_0000_40fd));
        assert_eq!(parse_number("253"), Ok(253));
        assert!(parse_number("0x1_0000_0000_0000_0000").is_err());
    }
}
