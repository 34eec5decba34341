//! meter-server
