//! Compression, in this process: a program by that name in a container's root is never asked (CVE-2026-41567).

use super::options::Compression;
use super::problem::Problem;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use std::io::{self, Cursor, Read, Write};

/// More threads than this wait for the reading of files.
const MOST_THREADS: u32 = 4;

/// What an archive is written to.
pub(super) enum Sink<W: Write> {
    Plain(W),
    Gzip(Box<GzEncoder<W>>),
    Zstd(Box<zstd::Encoder<'static, W>>),
}

impl<W: Write> Sink<W> {
    pub(super) fn new(inner: W, compression: Compression) -> io::Result<Self> {
        Ok(match compression {
            Compression::None => Self::Plain(inner),
            // Without a time, so that the same tree gives the same bytes.
            Compression::Gzip => Self::Gzip(Box::new(GzEncoder::new(inner, flate2::Compression::default()))),
            Compression::Zstd => {
                let mut encoder = zstd::Encoder::new(inner, zstd::DEFAULT_COMPRESSION_LEVEL)?;
                encoder.include_checksum(true)?;
                let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get());
                let threads = u32::try_from(threads).unwrap_or(MOST_THREADS).min(MOST_THREADS);
                if threads > 1 {
                    encoder.multithread(threads)?;
                }
                Self::Zstd(Box::new(encoder))
            }
        })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(inner) => inner.write_all(bytes),
            Self::Gzip(encoder) => encoder.write_all(bytes),
            Self::Zstd(encoder) => encoder.write_all(bytes),
        }
    }

    pub(super) fn finish(self) -> io::Result<()> {
        let mut inner = match self {
            Self::Plain(inner) => inner,
            Self::Gzip(encoder) => encoder.finish()?,
            Self::Zstd(encoder) => encoder.finish()?,
        };
        inner.flush()
    }
}

/// What an archive is read from, decompressed.
pub(super) fn open<'a>(mut source: impl Read + 'a) -> Result<Box<dyn Read + 'a>, Problem> {
    let mut first = Vec::with_capacity(6);
    source.by_ref().take(6).read_to_end(&mut first).map_err(Problem::Read)?;
    let kind = first.clone();
    let whole = Cursor::new(first).chain(source);
    Ok(match kind.as_slice() {
        [0x1f, 0x8b, ..] => Box::new(MultiGzDecoder::new(whole)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(zstd::Decoder::new(whole).map_err(Problem::Read)?),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => return Err(Problem::Compression("xz")),
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => return Err(Problem::Compression("bzip2")),
        [] => return Err(Problem::Truncated),
        _ => Box::new(whole),
    })
}
