//! By when, and before whom.

use tokio::time::Instant;

/// What is done first where several wait. The order of the variants is the order of importance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Collection and other work that nobody waits for.
    Low,
    /// What a caller waits for, and jobs unless they say otherwise.
    #[default]
    Normal,
    /// What cannot wait: a tenth of the places of every queue is kept for it.
    High,
}

impl Priority {
    /// All, the lowest first.
    pub const ALL: [Self; 3] = [Self::Low, Self::Normal, Self::High];

    /// The name in API, logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Low => "LOW",
            Self::Normal => "NORMAL",
            Self::High => "HIGH",
        }
    }
}

/// By when an operation is to be finished, and before whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// When it fails if it has not succeeded.
    pub deadline: Instant,
    /// Before whom.
    pub priority: Priority,
}

impl Terms {
    /// To be finished by `deadline`, with normal priority.
    #[must_use]
    pub const fn by(deadline: Instant) -> Self {
        Self { deadline, priority: Priority::Normal }
    }

    /// The same with another priority.
    #[must_use]
    pub const fn with_priority(self, priority: Priority) -> Self {
        Self { priority, ..self }
    }
}

impl From<Instant> for Terms {
    fn from(deadline: Instant) -> Self {
        Self::by(deadline)
    }
}
