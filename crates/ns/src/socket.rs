//! A packet socket between two processes of one machine, which carries descriptors (unix(7)).

use rustix::io::{Errno, IoSlice, IoSliceMut};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

/// The most descriptors that one packet carries here.
pub const MAX_DESCRIPTORS: usize = 64;

/// Two connected ends, closed on exec. A packet that is sent at one is received whole at the other.
pub fn pair() -> Result<(OwnedFd, OwnedFd), Errno> {
    rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
}

/// *Child-side.* Sends a packet with descriptors. It must not be empty: that is how the end is told.
///
/// # Errors
/// `EPIPE` when the other end is closed; no signal is raised. `E2BIG` past [`MAX_DESCRIPTORS`].
pub fn send(socket: BorrowedFd<'_>, packet: &[u8], descriptors: &[BorrowedFd<'_>]) -> Result<(), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(Errno::TOOBIG);
    }
    let packet = [IoSlice::new(packet)];
    rustix::io::retry_on_intr(|| rustix::net::sendmsg(socket, &packet, &mut control, SendFlags::NOSIGNAL))
        .map(drop)
}

/// *Child-side.* Receives a packet into `buffer` and hands each descriptor that came with it, closed on exec, to `take`.
/// 0 is the end.
///
/// # Errors
/// `EMSGSIZE` when the packet or its descriptors were longer than there is room for; what did arrive is closed.
pub fn receive(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
    mut take: impl FnMut(OwnedFd),
) -> Result<usize, Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        match rustix::net::recvmsg(
            socket,
            &mut [IoSliceMut::new(buffer)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        ) {
            // The other end was closed with something of ours unread, which is told once, before what it had sent.
            Err(Errno::INTR | Errno::CONNRESET) => {}
            received => break received?,
        }
    };
    if received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
        return Err(Errno::MSGSIZE);
    }
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            descriptors.for_each(&mut take);
        }
    }
    Ok(received.bytes)
}

/// Waits for the next packet and gives it, whatever its length. What [`receive`] says holds here; an empty one is the end.
///
/// # Errors
/// Those of [`receive`].
pub fn receive_whole(socket: BorrowedFd<'_>, take: impl FnMut(OwnedFd)) -> Result<Vec<u8>, Errno> {
    let length = loop {
        match rustix::net::recv(socket, &mut [0; 0][..], RecvFlags::PEEK | RecvFlags::TRUNC) {
            Err(Errno::INTR | Errno::CONNRESET) => {}
            received => break received?.1,
        }
    };
    let mut packet = vec![0; length];
    let received = receive(socket, &mut packet, take)?;
    packet.truncate(received);
    Ok(packet)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Seek as _, Write as _};
    use std::os::fd::AsFd;

    #[test]
    fn descriptors_arrive_with_their_packet() {
        let (here, there) = pair().unwrap();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"content").unwrap();
        send(here.as_fd(), b"packet", &[file.as_fd(), here.as_fd()]).unwrap();
        let mut buffer = [0; 16];
        let mut got = Vec::new();
        let length = receive(there.as_fd(), &mut buffer, |fd| got.push(fd)).unwrap();
        assert_eq!(&buffer[..length], b"packet");
        assert_eq!(got.len(), 2);
        let mut copy = std::fs::File::from(got.remove(0));
        copy.rewind().unwrap();
        let mut text = String::new();
        copy.read_to_string(&mut text).unwrap();
        assert_eq!(text, "content");
    }

    #[test]
    fn what_was_sent_before_an_end_with_unread_packets_is_not_lost() {
        let (here, there) = pair().unwrap();
        send(here.as_fd(), b"unread", &[]).unwrap();
        send(there.as_fd(), b"last words", &[]).unwrap();
        drop(there);
        let mut buffer = [0; 16];
        assert_eq!(receive(here.as_fd(), &mut buffer, drop), Ok(10));
        assert_eq!(receive(here.as_fd(), &mut buffer, drop), Ok(0));
    }

    #[test]
    fn a_packet_is_received_whole_with_its_descriptors() {
        let (here, there) = pair().unwrap();
        for length in [1, 4096, 65_537] {
            let sent = vec![7; length];
            send(here.as_fd(), &sent, &[here.as_fd()]).unwrap();
            let mut descriptors = 0;
            assert_eq!(receive_whole(there.as_fd(), |_| descriptors += 1), Ok(sent));
            assert_eq!(descriptors, 1);
        }
    }

    #[test]
    fn a_packet_that_does_not_fit_is_an_error_and_the_end_is_zero() {
        let (here, there) = pair().unwrap();
        send(here.as_fd(), b"too long", &[]).unwrap();
        assert_eq!(receive(there.as_fd(), &mut [0; 3], |_| ()), Err(Errno::MSGSIZE));
        drop(here);
        assert_eq!(receive(there.as_fd(), &mut [0; 3], |_| ()), Ok(0));
        assert_eq!(receive_whole(there.as_fd(), drop), Ok(Vec::new()));
        assert_eq!(send(there.as_fd(), b"x", &[]), Err(Errno::PIPE));
    }
}
