//! What is said to a connection for which there is no place: why, in the words of HTTP/2 (RFC 9113), and the end.

use crate::places::MOST;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

/// How long the other side may take to read it.
const LINGER: Duration = Duration::from_secs(1);

const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const ENHANCE_YOUR_CALM: u32 = 11;

/// Says it.
pub(super) async fn say(stream: impl AsyncRead + AsyncWrite) {
    let _ = timeout(LINGER, said(stream)).await;
}

async fn said(stream: impl AsyncRead + AsyncWrite) -> io::Result<()> {
    let mut stream = std::pin::pin!(stream);
    stream.write_all(&words()).await?;
    stream.shutdown().await?;
    // To close with bytes unread would take the words away from it.
    let mut rest = [0; 4096];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}

fn words() -> Vec<u8> {
    let why = format!("{MOST} connections are open already");
    // The last stream that was served: none.
    let reason = [&0_u32.to_be_bytes()[..], &ENHANCE_YOUR_CALM.to_be_bytes(), why.as_bytes()].concat();
    [frame(SETTINGS, &[]), frame(GOAWAY, &reason)].concat()
}

/// A frame of the connection's own.
fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, u8::try_from(payload.len()).unwrap_or(u8::MAX), kind];
    bytes.extend([0; 5]);
    bytes.extend(payload);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_heard_by_a_client_that_has_just_asked() {
        let (daemon, mut client) = tokio::io::duplex(1_024);
        client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n and what it asks").await.unwrap();
        let said = tokio::spawn(say(daemon));
        let mut heard = Vec::new();
        client.read_to_end(&mut heard).await.unwrap();
        drop(client);
        said.await.unwrap();
        assert_eq!(&heard[..9], [0, 0, 0, 4, 0, 0, 0, 0, 0]);
        assert_eq!(usize::from(heard[11]), heard.len() - 18);
        assert!(heard.ends_with(b"\0\0\0\0\0\0\0\x0b256 connections are open already"), "{heard:?}");
    }
}
