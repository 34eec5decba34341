//! A client built on dlms-cosem-rs.
