//! A process that dies at a chosen moment: from then on nothing is written and nothing is sent.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Lets a number of steps pass, and none after them.
#[derive(Debug)]
pub(super) struct Trap {
    left: AtomicUsize,
    sprung: AtomicBool,
}

impl Default for Trap {
    fn default() -> Self {
        Self { left: AtomicUsize::new(usize::MAX / 2), sprung: AtomicBool::new(false) }
    }
}

impl Trap {
    pub(super) fn set(&self, steps: usize) {
        self.left.store(steps, Ordering::Release);
    }

    pub(super) async fn step(&self) {
        let passed = self.left.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(1));
        if passed.is_err() {
            self.sprung.store(true, Ordering::Release);
            std::future::pending().await
        }
    }

    pub(super) fn has_sprung(&self) -> bool {
        self.sprung.load(Ordering::Acquire)
    }
}
