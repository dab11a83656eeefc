//! Content encodings, undone without ever producing more than a limit.

use std::io::Read;

use flate2::bufread::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

/// What is given up for at once before the size of the result is known.
const FIRST_BYTES_MAX: usize = 64 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Identity,
    Gzip,
    Deflate,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Undecodable {
    /// It holds more than the limit.
    TooLarge,
    Corrupt(String),
}

impl Encoding {
    /// The encoding that a `Content-Encoding` names, if we know it.
    pub(crate) fn parse(value: &[u8]) -> Option<Encoding> {
        let value = value.trim_ascii();
        let is = |name: &str| value.eq_ignore_ascii_case(name.as_bytes());
        match () {
            () if value.is_empty() || is("identity") => Some(Encoding::Identity),
            () if is("gzip") || is("x-gzip") => Some(Encoding::Gzip),
            () if is("deflate") => Some(Encoding::Deflate),
            () => None,
        }
    }
}

/// Decodes `bytes` to at most `limit` bytes. With [`Encoding::Identity`] nothing is to be done.
pub(crate) fn decode(
    encoding: Encoding,
    bytes: &[u8],
    limit: usize,
) -> Result<Vec<u8>, Undecodable> {
    match encoding {
        Encoding::Identity => Ok(bytes.to_vec()),
        Encoding::Gzip => drain(MultiGzDecoder::new(bytes), bytes.len(), limit),
        // The standard means zlib; some send the bare stream, and it cannot always be told from the first bytes.
        Encoding::Deflate => match drain(ZlibDecoder::new(bytes), bytes.len(), limit) {
            Err(Undecodable::Corrupt(reason)) => {
                match drain(DeflateDecoder::new(bytes), bytes.len(), limit) {
                    Err(Undecodable::Corrupt(_)) => Err(Undecodable::Corrupt(reason)),
                    decoded => decoded,
                }
            }
            decoded => decoded,
        },
    }
}

fn drain(decoder: impl Read, encoded: usize, limit: usize) -> Result<Vec<u8>, Undecodable> {
    let mut decoded = Vec::with_capacity(encoded.saturating_mul(4).min(limit).min(FIRST_BYTES_MAX));
    let more_than_allowed = (limit as u64).saturating_add(1);
    decoder
        .take(more_than_allowed)
        .read_to_end(&mut decoded)
        .map_err(|error| Undecodable::Corrupt(error.to_string()))?;
    if decoded.len() > limit { Err(Undecodable::TooLarge) } else { Ok(decoded) }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::bufread::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    fn all(mut encoder: impl Read) -> Vec<u8> {
        let mut bytes = Vec::new();
        encoder.read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn gzip_zlib_and_bare_deflate_are_decoded_up_to_the_limit() {
        let text = b"a response, a response, a response".as_slice();
        let level = Compression::default();
        for (encoding, bytes) in [
            (Encoding::Gzip, all(GzEncoder::new(text, level))),
            (Encoding::Deflate, all(ZlibEncoder::new(text, level))),
            (Encoding::Deflate, all(DeflateEncoder::new(text, level))),
        ] {
            assert_eq!(decode(encoding, &bytes, text.len()).unwrap(), text, "{encoding:?}");
            let short = decode(encoding, &bytes, text.len() - 1);
            assert_eq!(short, Err(Undecodable::TooLarge), "{encoding:?}");
            let torn = decode(encoding, &bytes[..bytes.len() - 9], 1000);
            assert!(matches!(torn, Err(Undecodable::Corrupt(_))), "{encoding:?}");
        }
    }

    #[test]
    fn a_bomb_is_not_inflated() {
        let zeros = std::io::BufReader::new(std::io::repeat(0).take(50_000_000));
        let bomb = all(GzEncoder::new(zeros, Compression::best()));
        let decoded = decode(Encoding::Gzip, &bomb, 1000);
        assert_eq!(decoded, Err(Undecodable::TooLarge));
    }

    #[test]
    fn encodings_are_known_by_name() {
        for (value, encoding) in [
            ("", Some(Encoding::Identity)),
            ("identity", Some(Encoding::Identity)),
            (" GZip ", Some(Encoding::Gzip)),
            ("deflate", Some(Encoding::Deflate)),
            ("br", None),
            ("gzip, gzip", None),
        ] {
            assert_eq!(Encoding::parse(value.as_bytes()), encoding, "{value:?}");
        }
    }
}
