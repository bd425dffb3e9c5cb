//! Numbers as a reader wants them: three digits and a unit.

/// Between a number and its unit.
const SPACE: char = '\u{a0}';

/// A duration in the unit that suits it.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(super) fn duration(nanoseconds: u64) -> String {
    let (unit, name) = match nanoseconds {
        0..1_000 => return format!("{nanoseconds}{SPACE}ns"),
        1_000..999_500 => (1e3, "µs"),
        999_500..999_500_000 => (1e6, "ms"),
        _ => (1e9, "s"),
    };
    let value = three_digits(nanoseconds as f64 / unit);
    format!("{value}{SPACE}{name}")
}

/// A duration that a scale shows, without the noughts that it does not need.
pub(super) fn mark(nanoseconds: u64) -> String {
    if nanoseconds == 0 {
        return "0".to_owned();
    }
    let text = duration(nanoseconds);
    match text.split_once(SPACE) {
        Some((value, unit)) if value.contains('.') => {
            let value = value.trim_end_matches('0').trim_end_matches('.');
            format!("{value}{SPACE}{unit}")
        }
        _ => text,
    }
}

/// A count with its thousands set apart.
pub(super) fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index != 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count where there is little room.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(super) fn short_count(count: u64) -> String {
    let (unit, name) = match count {
        0..10_000 => return count.to_string(),
        10_000..999_500 => (1e3, "k"),
        999_500..999_500_000 => (1e6, "M"),
        999_500_000..999_500_000_000 => (1e9, "G"),
        _ => (1e12, "T"),
    };
    format!("{}{name}", three_digits(count as f64 / unit))
}

/// A share in per cent; `–` of nothing.
#[expect(clippy::cast_precision_loss, reason = "a share for people")]
pub(super) fn share(part: u64, whole: u64) -> String {
    match whole {
        0 => "–".to_owned(),
        _ => format!("{:.1}{SPACE}%", 100.0 * part as f64 / whole as f64),
    }
}

/// A part of the width of a picture, 0 to 1, as an attribute.
pub(super) fn percent(part: f64) -> String {
    let text = format!("{:.2}", 100.0 * part);
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{text}%")
}

/// Text that is not ours, cut to a length that a page bears.
pub(super) fn cut(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        return text.to_owned();
    }
    let kept = text.chars().take(longest.saturating_sub(1));
    kept.chain(['…']).collect()
}

fn three_digits(value: f64) -> String {
    if value < 9.995 {
        format!("{value:.2}")
    } else if value < 99.95 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        text.replace(SPACE, " ")
    }

    #[test]
    fn durations_have_three_digits() {
        for (nanoseconds, text) in [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_000, "1.00 µs"),
            (9_996, "10.0 µs"),
            (123_456, "123 µs"),
            (999_600, "1.00 ms"),
            (25_000_000, "25.0 ms"),
            (1_500_000_000, "1.50 s"),
            (u64::MAX, "18446744074 s"),
        ] {
            assert_eq!(plain(&duration(nanoseconds)), text);
        }
        assert_eq!(plain(&mark(0)), "0");
        assert_eq!(plain(&mark(200_000)), "200 µs");
        assert_eq!(plain(&mark(1_000_000)), "1 ms");
        assert_eq!(plain(&mark(1_500)), "1.5 µs");
    }

    #[test]
    fn counts_and_shares() {
        assert_eq!(
            [0, 999, 1_000, 1_234_567].map(count),
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!(
            [9_999, 12_345, 1_000_000].map(short_count),
            ["9999", "12.3k", "1.00M"]
        );
        assert_eq!(plain(&share(1, 3)), "33.3 %");
        assert_eq!(share(1, 0), "–");
        assert_eq!(
            [0.0, 0.5, 1.0, 1.0 / 3.0].map(percent),
            ["0%", "50%", "100%", "33.33%"]
        );
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(cut("µµµµ", 3), "µµ…");
        assert_eq!(cut("abc", 3), "abc");
    }
}
