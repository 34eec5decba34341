//! head-end
