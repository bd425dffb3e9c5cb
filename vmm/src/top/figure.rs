//! Figures in few columns.

/// A number per second, in at most five characters below ten billion.
pub(super) fn rate(per_second: f64) -> String {
    match per_second {
        rate if rate <= 0.0 => "0".to_owned(),
        rate if rate < 9.95 => format!("{rate:.1}"),
        rate if rate < 99_999.5 => format!("{rate:.0}"),
        rate if rate < 9_999_500.0 => format!("{:.0}k", rate / 1e3),
        rate => format!("{:.0}M", rate / 1e6),
    }
}

/// Nanoseconds in microseconds, in at most six characters below a thousand seconds; `-` if unknown.
pub(super) fn microseconds(nanoseconds: Option<f64>) -> String {
    match nanoseconds.map(|nanoseconds| nanoseconds / 1e3) {
        None => "-".to_owned(),
        Some(time) if time < 99.995 => format!("{time:.2}"),
        Some(time) if time < 999.95 => format!("{time:.1}"),
        Some(time) if time < 999_999.5 => format!("{time:.0}"),
        Some(time) => format!("{:.0}ms", time / 1e3),
    }
}

/// A share in per cent; `-` if unknown.
pub(super) fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.1}", share * 100.0))
}

/// How long the VM has run.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "whole seconds of a run"
)]
pub(super) fn age(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    format!("{hours}:{minutes:02}:{seconds:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_fit_their_columns() {
        for (value, text) in [
            (0.0, "0"),
            (0.4, "0.4"),
            (9.96, "10"),
            (1234.4, "1234"),
            (99_999.6, "100k"),
            (1_234_567.0, "1235k"),
            (12_345_678.0, "12M"),
        ] {
            assert_eq!(rate(value), text);
        }
        for (value, text) in [
            (420.0, "0.42"),
            (99_999.0, "100.0"),
            (123_456.0, "123.5"),
            (1_234_567.0, "1235"),
            (2e9, "2000ms"),
        ] {
            assert_eq!(microseconds(Some(value)), text);
        }
        assert_eq!(
            (microseconds(None), percent(None)),
            ("-".into(), "-".into())
        );
        assert_eq!(
            (percent(Some(0.5)), percent(Some(1.0))),
            ("50.0".into(), "100.0".into())
        );
        assert_eq!(
            (age(3_725.9), age(0.2)),
            ("1:02:05".into(), "0:00:00".into())
        );
    }
}
