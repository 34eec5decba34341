//! Listeners against what a meter, a mistaken meter and a hostile peer send, over real sockets and a real store.

mod captures;
mod hostile;
mod identity;
mod order;
mod support;
