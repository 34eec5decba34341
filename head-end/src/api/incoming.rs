//! Connections of clients, with and without TLS.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::Stream;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig, server::TlsStream};
use tonic::transport::server::Connected;

use crate::access::{CertificateNames, Live};

/// Connections at the same time; more wait in the listening socket.
const CONNECTIONS: usize = 8192;
/// How long a client may take to agree on TLS.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// What waits after the system refused a connection, for want of descriptors mostly.
const PAUSE: Duration = Duration::from_millis(100);

/// Who is at the other end of a connection; an extension of each request.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    /// Where the connection comes from.
    pub(super) address: Option<SocketAddr>,
    /// The names of its verified certificate, if it presented one.
    pub(super) certificate: Option<CertificateNames>,
}

/// A connection, and its share of those that may be open.
#[derive(Debug)]
pub(super) struct Connection {
    stream: Line,
    _permit: OwnedSemaphorePermit,
}

#[derive(Debug)]
enum Line {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// The connections that `listener` takes, from now on until the stream is dropped.
pub(super) fn incoming(
    listener: TcpListener,
    tls: Option<Arc<Live<ServerConfig>>>,
) -> impl Stream<Item = io::Result<Connection>> {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(accept(listener, tls, sender));
    futures_util::stream::unfold(receiver, |mut receiver| async {
        let connection = receiver.recv().await?;
        Some((Ok(connection), receiver))
    })
}

async fn accept(listener: TcpListener, tls: Option<Arc<Live<ServerConfig>>>, ready: mpsc::Sender<Connection>) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let next = async {
            // The semaphore is never closed.
            let permit = Arc::clone(&permits).acquire_owned().await.ok()?;
            Some((listener.accept().await, permit))
        };
        let (accepted, permit) = tokio::select! {
            next = next => match next {
                Some(next) => next,
                None => return,
            },
            () = ready.closed() => return,
        };
        let socket = match accepted {
            Ok((socket, _)) => socket,
            Err(error) => {
                tracing::debug!(%error, "cannot accept a connection");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps Nagle's algorithm");
        }
        let (ready, config) = (ready.clone(), tls.as_ref().map(|tls| tls.get()));
        // A client that is slow to shake hands keeps no other waiting.
        tokio::spawn(async move {
            let stream = match config {
                None => Line::Plain(socket),
                Some(config) => match timeout(HANDSHAKE, TlsAcceptor::from(config).accept(socket)).await {
                    Ok(Ok(stream)) => Line::Tls(Box::new(stream)),
                    Ok(Err(error)) => return tracing::debug!(%error, "TLS was not agreed on"),
                    Err(_) => return tracing::debug!("a client did not finish agreeing on TLS"),
                },
            };
            // Nobody takes it any more when the server stops.
            let _ = ready.send(Connection { stream, _permit: permit }).await;
        });
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        match &self.stream {
            Line::Plain(socket) => Peer { address: socket.peer_addr().ok(), certificate: None },
            Line::Tls(stream) => {
                let (socket, session) = stream.get_ref();
                let certificate = session.peer_certificates().and_then(<[_]>::first);
                Peer { address: socket.peer_addr().ok(), certificate: certificate.map(|der| CertificateNames::of(der)) }
            }
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Line::Plain(socket) => Pin::new(socket).poll_read(context, buffer),
            Line::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Line::Plain(socket) => Pin::new(socket).poll_write(context, octets),
            Line::Tls(stream) => Pin::new(stream).poll_write(context, octets),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Line::Plain(socket) => Pin::new(socket).poll_flush(context),
            Line::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Line::Plain(socket) => Pin::new(socket).poll_shutdown(context),
            Line::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Line::Plain(socket) => Pin::new(socket).poll_write_vectored(context, parts),
            Line::Tls(stream) => Pin::new(stream).poll_write_vectored(context, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Line::Plain(socket) => socket.is_write_vectored(),
            Line::Tls(stream) => stream.is_write_vectored(),
        }
    }
}
