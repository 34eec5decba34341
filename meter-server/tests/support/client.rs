//! A blocking client over a socket.
