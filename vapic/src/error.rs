//! The two-stage Error Status Register (SDM 3A, APIC §5.3).

use crate::spec::error::ErrorStatus;

/// Errors collect unseen; a write to the register makes them visible and starts over.
#[derive(Clone, Debug)]
pub(crate) struct Errors {
    collected: u32,
    visible: u32,
}

impl Errors {
    pub(crate) const RESET: Self = Self {
        collected: 0,
        visible: 0,
    };

    pub(crate) const fn restore(visible: u32, collected: u32) -> Self {
        Self { collected, visible }
    }

    pub(crate) const fn collected(&self) -> u32 {
        self.collected
    }

    pub(crate) const fn visible(&self) -> u32 {
        self.visible
    }

    /// The guest wrote the register.
    pub(crate) const fn latch(&mut self) {
        self.visible = self.collected;
        self.collected = 0;
    }

    /// Notes an error; whether it is new since the last write, so that the error entry must fire.
    pub(crate) const fn collect(&mut self, error: ErrorStatus) -> bool {
        let new = error.into_bits() & !self.collected;
        self.collected |= new;
        new != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_shows_what_was_collected_and_rearms() {
        let error = ErrorStatus::new().with_send_illegal_vector(true);
        let mut errors = Errors::RESET;
        assert!(errors.collect(error));
        assert!(
            !errors.collect(error),
            "the error entry fires once until the register is written"
        );
        assert_eq!(errors.visible(), 0);
        errors.latch();
        assert_eq!(errors.visible(), 0x20);
        assert!(errors.collect(error));
        errors.latch();
        errors.latch();
        assert_eq!(errors.visible(), 0);
    }
}
