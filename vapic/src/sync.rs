//! The shared-memory primitives, replaced by loom's when a protocol is being model-checked.

#[cfg(not(loom))]
pub(crate) use {
    core::sync::atomic::{AtomicU64, Ordering},
    spin::Mutex,
};

#[cfg(loom)]
pub(crate) use {
    self::model::Mutex,
    loom::sync::atomic::{AtomicU64, Ordering},
};

#[cfg(loom)]
mod model {
    /// Loom's mutex behind the interface of a spinning one, which cannot be poisoned.
    #[derive(Debug)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        #[expect(
            clippy::unwrap_used,
            reason = "a poisoned lock has failed the model already"
        )]
        pub(crate) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
            self.0.lock().unwrap()
        }
    }
}
