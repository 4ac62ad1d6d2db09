//! The archive that bg sends: written anew from what was accepted, so that what the host's tar unpacks is exactly what
//! was inspected, however that tar reads odd headers.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::tree::Kind;

/// Fast, and within a few percent of what higher levels reach on built sites.
const ZSTD_LEVEL: i32 = 3;
/// tar's unit.
const BLOCK: u64 = 512;

/// One entry as it is written. Owner and group are always 0:0; whoever unpacks owns the files.
pub struct Item {
    /// Normalised, relative.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Permission bits, at most 0o777.
    pub mode: u32,
    /// Seconds since 1970.
    pub mtime: u64,
    /// Bytes of content; 0 unless a file.
    pub size: u64,
}

/// Why an entry could not be written.
pub enum WriteError {
    /// Reading the content failed.
    Source(io::Error),
    /// The content was shorter than announced.
    Short,
    /// Writing the temporary file failed.
    Sink(io::Error),
}

/// Writes a zstd-compressed tar, and besides it hashes the same tar with every time set to 0: a directory's digest is
/// of its content alone, while the times are kept for the web servers that make an ETag of them.
pub struct Writer {
    out: tar::Builder<zstd::Encoder<'static, Hashing<BufWriter<File>>>>,
    timeless: tar::Builder<Hashing<io::Sink>>,
    entries: usize,
    unpacked: u64,
}

/// What came out of a [`Writer`].
pub struct Written {
    /// sha256 of the compressed file.
    pub sha256: String,
    /// Its length.
    pub bytes: u64,
    /// sha256 of the uncompressed tar with every time 0.
    pub timeless_sha256: String,
    /// Entries.
    pub entries: usize,
    /// Bytes of all files, each rounded up to a block of 4 KiB, as a filesystem would.
    pub unpacked: u64,
}

impl Writer {
    /// Writes to `file`, which is empty.
    pub fn new(file: File) -> io::Result<Writer> {
        let file = BufWriter::with_capacity(1 << 18, file);
        let out = tar::Builder::new(zstd::Encoder::new(Hashing::new(file), ZSTD_LEVEL)?);
        Ok(Writer { out, timeless: tar::Builder::new(Hashing::new(io::sink())), entries: 0, unpacked: 0 })
    }

    /// Appends one entry; a file's content is `data`, exactly `item.size` bytes.
    pub fn append(&mut self, item: &Item, data: &mut dyn Read) -> Result<(), WriteError> {
        let path = Path::new(OsStr::from_bytes(&item.path));
        self.entries += 1;
        self.unpacked += 4096 + item.size.next_multiple_of(4096);
        let (mut timed, mut timeless) = (header(item, item.mtime), header(item, 0));
        match &item.kind {
            Kind::Symlink(target) | Kind::Hardlink(target) => {
                let target = Path::new(OsStr::from_bytes(target));
                self.timeless.append_link(&mut timeless, path, target).map_err(WriteError::Sink)?;
                self.out.append_link(&mut timed, path, target).map_err(WriteError::Sink)
            }
            Kind::Directory => {
                self.timeless.append_data(&mut timeless, path, io::empty()).map_err(WriteError::Sink)?;
                self.out.append_data(&mut timed, path, io::empty()).map_err(WriteError::Sink)
            }
            Kind::File => {
                // The header alone; the content goes to the hash as it passes to the real archive.
                self.timeless.append_data(&mut timeless, path, io::empty()).map_err(WriteError::Sink)?;
                let hash = self.timeless.get_mut();
                let mut tee = Tee { from: data.take(item.size), hash, seen: 0, failed: None };
                let written = self.out.append_data(&mut timed, path, &mut tee);
                let (seen, failed) = (tee.seen, tee.failed);
                if let Some(error) = failed {
                    return Err(WriteError::Source(error));
                }
                written.map_err(WriteError::Sink)?;
                if seen != item.size {
                    return Err(WriteError::Short);
                }
                let padding = (BLOCK - item.size % BLOCK) % BLOCK;
                hash_zeros(self.timeless.get_mut(), padding).map_err(WriteError::Sink)
            }
        }
    }

    /// Ends the archive and flushes it.
    pub fn finish(self) -> io::Result<Written> {
        let mut packed = self.out.into_inner()?.finish()?;
        packed.flush()?;
        let (sha256, bytes) = packed.result();
        let (timeless_sha256, _) = self.timeless.into_inner()?.result();
        Ok(Written { sha256, bytes, timeless_sha256, entries: self.entries, unpacked: self.unpacked })
    }
}

fn header(item: &Item, mtime: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(match item.kind {
        Kind::Directory => tar::EntryType::Directory,
        Kind::File => tar::EntryType::Regular,
        Kind::Symlink(_) => tar::EntryType::Symlink,
        Kind::Hardlink(_) => tar::EntryType::Link,
    });
    header.set_mode(item.mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(mtime);
    header.set_size(item.size);
    header
}

fn hash_zeros(hash: &mut impl Write, count: u64) -> io::Result<()> {
    io::copy(&mut io::repeat(0).take(count), hash).map(drop)
}

/// Passes content on, hashing it, and remembers whether it was the reading that failed.
struct Tee<'a, R> {
    from: R,
    hash: &'a mut Hashing<io::Sink>,
    seen: u64,
    failed: Option<io::Error>,
}

impl<R: Read> Read for Tee<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.from.read(buffer) {
            Ok(count) => {
                self.seen += count as u64;
                self.hash.write_all(&buffer[..count])?;
                Ok(count)
            }
            Err(error) => {
                if error.kind() != io::ErrorKind::Interrupted {
                    self.failed = Some(io::Error::new(error.kind(), error.to_string()));
                }
                Err(error)
            }
        }
    }
}

/// Counts and hashes what passes, in either direction.
pub struct Hashing<T> {
    inner: T,
    sha256: Sha256,
    bytes: u64,
}

impl<T> Hashing<T> {
    /// Around `inner`.
    pub fn new(inner: T) -> Hashing<T> {
        Hashing { inner, sha256: Sha256::new(), bytes: 0 }
    }

    /// The digest in lower-case hex, and the number of bytes.
    pub fn result(self) -> (String, u64) {
        let hex = bluegreen_core::hex::hex(&self.sha256.finalize());
        (hex, self.bytes)
    }
}

impl<T: Write> Write for Hashing<T> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(buffer)?;
        self.sha256.update(&buffer[..count]);
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<T: Read> Read for Hashing<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.sha256.update(&buffer[..count]);
        self.bytes += count as u64;
        Ok(count)
    }
}
