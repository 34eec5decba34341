//! UDP sockets that know to which address a datagram came, and answer from it.

use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::net::UdpSocket;

/// A datagram that has come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    pub(super) length: usize,
    pub(super) from: SocketAddr,
    /// The address that it was sent to.
    pub(super) to: IpAddr,
}

/// A socket.
#[derive(Debug)]
pub(super) enum Datagrams {
    /// Of one device.
    Plain(UdpSocket, IpAddr),
    /// Of many devices, told apart by their addresses.
    #[cfg(target_os = "linux")]
    Shared(UdpSocket),
}

impl Datagrams {
    /// A socket of one device.
    pub(super) async fn bind(address: SocketAddr) -> io::Result<Self> {
        Ok(Self::Plain(UdpSocket::bind(address).await?, address.ip()))
    }

    /// A socket of many devices, bound to all IPv4 addresses.
    #[cfg(target_os = "linux")]
    pub(super) async fn bind_shared(address: SocketAddr) -> io::Result<Self> {
        use nix::sys::socket::{setsockopt, sockopt};
        let socket = UdpSocket::bind(address).await?;
        setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
        // A head-end asks many meters at once, and all of it arrives here; the system cuts this down to what it allows.
        setsockopt(&socket, sockopt::RcvBuf, &SHARED_BUFFER_OCTETS)?;
        Ok(Self::Shared(socket))
    }

    /// A socket of many devices, bound to all IPv4 addresses.
    #[cfg(not(target_os = "linux"))]
    pub(super) async fn bind_shared(_: SocketAddr) -> io::Result<Self> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "meters share a UDP socket by addresses on Linux only"))
    }

    /// The address that it is bound to.
    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Plain(socket, _) => socket.local_addr(),
            #[cfg(target_os = "linux")]
            Self::Shared(socket) => socket.local_addr(),
        }
    }

    /// The next datagram.
    pub(super) async fn receive(&self, room: &mut [u8]) -> io::Result<Arrival> {
        match self {
            Self::Plain(socket, to) => {
                let (length, from) = socket.recv_from(room).await?;
                Ok(Arrival { length, from, to: *to })
            }
            #[cfg(target_os = "linux")]
            Self::Shared(socket) => {
                use std::os::fd::AsRawFd;
                let fd = socket.as_raw_fd();
                socket.async_io(tokio::io::Interest::READABLE, || shared::receive(fd, room)).await
            }
        }
    }

    /// Sends a datagram from the address to which the client had sent its own.
    pub(super) async fn send(&self, octets: &[u8], source: IpAddr, to: SocketAddr) -> io::Result<()> {
        match self {
            Self::Plain(socket, _) => socket.send_to(octets, to).await.map(drop),
            #[cfg(target_os = "linux")]
            Self::Shared(socket) => {
                use std::os::fd::AsRawFd;
                let fd = socket.as_raw_fd();
                socket.async_io(tokio::io::Interest::WRITABLE, || shared::send(fd, octets, source, to)).await
            }
        }
    }
}

/// Octets of datagrams that wait at a shared socket.
#[cfg(target_os = "linux")]
const SHARED_BUFFER_OCTETS: usize = 4 << 20;

/// `IP_PKTINFO` of ip(7).
#[cfg(target_os = "linux")]
mod shared {
    use std::io::{self, IoSlice, IoSliceMut};
    use std::net::{IpAddr, Ipv4Addr, SocketAddr};
    use std::os::fd::RawFd;

    use nix::libc::{in_addr, in_pktinfo};
    use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, sendmsg};

    use super::Arrival;

    pub(super) fn receive(socket: RawFd, room: &mut [u8]) -> io::Result<Arrival> {
        let mut parts = [IoSliceMut::new(room)];
        let mut control = nix::cmsg_space!(in_pktinfo);
        let message = recvmsg::<SockaddrIn>(socket, &mut parts, Some(&mut control), MsgFlags::empty())?;
        let missing = |what| io::Error::new(io::ErrorKind::InvalidData, what);
        let to = message.cmsgs()?.find_map(|control| match control {
            ControlMessageOwned::Ipv4PacketInfo(info) => Some(Ipv4Addr::from(info.ipi_addr.s_addr.to_ne_bytes())),
            _ => None,
        });
        let from = message.address.ok_or_else(|| missing("a datagram without sender"))?;
        Ok(Arrival {
            length: message.bytes,
            from: SocketAddr::new(IpAddr::V4(from.ip()), from.port()),
            to: IpAddr::V4(to.ok_or_else(|| missing("a datagram without destination"))?),
        })
    }

    pub(super) fn send(socket: RawFd, octets: &[u8], source: IpAddr, to: SocketAddr) -> io::Result<()> {
        let (IpAddr::V4(source), SocketAddr::V4(to)) = (source, to) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let address = in_addr { s_addr: u32::from_ne_bytes(source.octets()) };
        let info = in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: address, ipi_addr: in_addr { s_addr: 0 } };
        let control = [ControlMessage::Ipv4PacketInfo(&info)];
        sendmsg(socket, &[IoSlice::new(octets)], &control, MsgFlags::empty(), Some(&SockaddrIn::from(to)))?;
        Ok(())
    }
}
