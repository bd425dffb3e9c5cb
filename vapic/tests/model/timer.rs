//! The timer as what is left of its count (SDM 3A, APIC §5.4).

#[derive(Clone, Debug)]
pub(crate) struct Timer {
    pub(crate) initial: u32,
    pub(crate) divide: u32,
    /// Bits 18:17 of its entry.
    mode: u32,
    /// ns until the count is zero or the deadline has come, while one of them is under way.
    pub(crate) left: Option<u64>,
    /// IA32_TSC_DEADLINE.
    pub(crate) deadline: u64,
}

/// What a mode counts.
#[derive(PartialEq, Eq)]
enum Counts {
    Ticks,
    Tsc,
    Nothing,
}

const fn counts(mode: u32) -> Counts {
    match mode {
        0 | 1 => Counts::Ticks,
        2 => Counts::Tsc,
        _ => Counts::Nothing,
    }
}

impl Timer {
    pub(crate) fn new() -> Self {
        Self {
            initial: 0,
            divide: 0,
            mode: 0,
            left: None,
            deadline: 0,
        }
    }

    /// ns a tick.
    fn divisor(&self) -> u64 {
        match self.divide {
            0b0000 => 2,
            0b0001 => 4,
            0b0010 => 8,
            0b0011 => 16,
            0b1000 => 32,
            0b1001 => 64,
            0b1010 => 128,
            _ => 1,
        }
    }

    /// Ticks left, those that have begun among them.
    pub(crate) fn count(&self) -> u32 {
        if counts(self.mode) != Counts::Ticks {
            return 0;
        }
        let ticks = self.left.unwrap_or(0).div_ceil(self.divisor());
        u32::try_from(ticks).expect("no more than there were")
    }

    pub(crate) fn start(&mut self, count: u32) {
        if counts(self.mode) == Counts::Ticks {
            self.initial = count;
            self.left = (count != 0).then_some(u64::from(count) * self.divisor());
        }
    }

    pub(crate) fn set_divide(&mut self, divide: u32) {
        if divide == self.divide {
            return;
        }
        let ticks = u64::from(self.count());
        self.divide = divide;
        if counts(self.mode) == Counts::Ticks {
            self.left = self.left.map(|_| ticks * self.divisor());
        }
    }

    pub(crate) fn set_mode(&mut self, mode: u32) {
        if counts(mode) != counts(self.mode) {
            self.initial = 0;
            self.left = None;
            self.deadline = 0;
        }
        self.mode = mode;
    }

    /// Lets time pass; whether the count came to zero, once or often, or the deadline came.
    pub(crate) fn pass(&mut self, nanoseconds: u64) -> bool {
        let Some(left) = self.left else { return false };
        if nanoseconds < left {
            self.left = Some(left - nanoseconds);
            return false;
        }
        let period = u64::from(self.initial) * self.divisor();
        self.left = match self.mode {
            1 => Some(period - (nanoseconds - left) % period),
            _ => None,
        };
        self.deadline = 0;
        true
    }

    pub(crate) fn arm(&mut self, deadline: u64, wait: u64) {
        if counts(self.mode) == Counts::Tsc {
            self.deadline = deadline;
            self.left = (deadline != 0).then_some(wait);
        }
    }
}
