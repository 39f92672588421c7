//! Values of settings: how they are written, and what is allowed.

use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use burrow_client::placement::{MAX_WEIGHT, Spec};
use burrow_core::QueueName;
use burrow_core::rest::{Place, place};

/// A number of bytes: `1048576`, `64KiB`, `1MiB` or `2GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes(pub u64);

/// A span in seconds, exact to the millisecond: `60`, `0.25`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seconds {
    pub ms: u64,
}

/// Where the wire protocol is spoken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WireAddress {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// Several of them, with commas between: `127.0.0.1:8081,unix:/run/burrow.sock`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WireAddresses(pub Vec<WireAddress>);

/// Where a server is to be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerAddress {
    /// A host and a port.
    Tcp(String),
    Unix(PathBuf),
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => f.write_str(address),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A server behind a proxy: `east=10.0.0.1:8081@3`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSpec {
    /// What is hashed.
    pub name: String,
    pub address: ServerAddress,
    pub weight: u32,
}

const UNITS: [(&str, u64); 4] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("", 1),
];

impl Bytes {
    /// The value as a length in memory; where it does not fit, the largest there is.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    fn parse(text: &str) -> Option<Self> {
        let (unit, factor) = UNITS.into_iter().find(|(unit, _)| text.ends_with(unit))?;
        let number = digits(text.strip_suffix(unit)?.trim_end())?;
        number.checked_mul(factor).map(Self)
    }
}

impl fmt::Display for WireAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |factor: u64| self.0 >= factor && self.0.is_multiple_of(factor);
        let (unit, factor) = UNITS
            .into_iter()
            .find(|&(_, factor)| whole(factor))
            .unwrap_or(("", 1));
        write!(f, "{}{unit}", self.0 / factor)
    }
}

impl Seconds {
    pub const fn from_ms(ms: u64) -> Self {
        Self { ms }
    }

    pub const fn duration(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.ms)
    }

    fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        if fraction.len() > 3 {
            return None;
        }
        let fraction_ms = digits(&format!("{fraction:0<3}"))?;
        let ms = digits(whole)?.checked_mul(1000)?.checked_add(fraction_ms)?;
        (!fraction.is_empty()).then_some(Self { ms })
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fraction = format!(".{:03}", self.ms % 1000);
        write!(
            f,
            "{}{}",
            self.ms / 1000,
            fraction.trim_end_matches('0').trim_end_matches('.')
        )
    }
}

/// A parser of whole numbers in a range.
pub(super) fn count(range: RangeInclusive<u64>) -> impl Fn(&str) -> Result<u64, String> + Clone {
    move |text| {
        let allowed = || {
            format!(
                "allowed is a whole number from {} to {}",
                range.start(),
                range.end()
            )
        };
        digits(text)
            .filter(|number| range.contains(number))
            .ok_or_else(allowed)
    }
}

/// A parser of sizes in a range.
pub(super) fn bytes(range: RangeInclusive<u64>) -> impl Fn(&str) -> Result<Bytes, String> + Clone {
    move |text| {
        let (least, most) = (Bytes(*range.start()), Bytes(*range.end()));
        let allowed =
            || format!("allowed is bytes from {least} to {most}, such as 4096, 64KiB or 1MiB");
        Bytes::parse(text)
            .filter(|bytes| range.contains(&bytes.0))
            .ok_or_else(allowed)
    }
}

/// A parser of spans in a range of milliseconds.
pub fn seconds(range_ms: RangeInclusive<u64>) -> impl Fn(&str) -> Result<Seconds, String> + Clone {
    move |text| {
        let (least, most) = (
            Seconds::from_ms(*range_ms.start()),
            Seconds::from_ms(*range_ms.end()),
        );
        let allowed = || format!("allowed is seconds from {least} to {most}, such as 60 or 0.25");
        Seconds::parse(text)
            .filter(|seconds| range_ms.contains(&seconds.ms))
            .ok_or_else(allowed)
    }
}

/// Reads an address to listen on.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        "allowed is an IP address and a port, such as 127.0.0.1:8080 or [::]:8080".to_owned()
    })
}

/// Reads where to speak the wire protocol.
pub(super) fn wire_addresses(text: &str) -> Result<WireAddresses, String> {
    let one = |text: &str| match text.strip_prefix("unix:") {
        Some(path) => (!path.is_empty()).then(|| WireAddress::Unix(path.into())),
        None => text.parse().ok().map(WireAddress::Tcp),
    };
    let all: Option<Vec<_>> = text.split(',').map(one).collect();
    all.map(WireAddresses).ok_or_else(|| {
        "allowed is an IP address and a port, as 127.0.0.1:8081, or a socket's path, as \
         unix:/run/burrow.sock; several with commas between"
            .to_owned()
    })
}

/// Reads a server behind a proxy.
pub(super) fn server_spec(text: &str) -> Result<ServerSpec, String> {
    let spec = Spec::read(text);
    let address = spec.and_then(|spec| server_address(spec.address));
    match (address, spec) {
        (Some(address), Some(spec)) => Ok(ServerSpec {
            name: spec.name.map_or_else(|| address.to_string(), str::to_owned),
            address,
            weight: spec.weight,
        }),
        _ => Err(format!(
            "allowed is where a server speaks the wire protocol: 10.0.0.1:8081 or burrow://10.0.0.1:8081, or a \
             socket's path, as unix:/run/burrow.sock; before it a name and =, behind it @ and a weight from 1 \
             to {MAX_WEIGHT}"
        )),
    }
}

/// The address alone, or the URL that clients are told.
fn server_address(text: &str) -> Option<ServerAddress> {
    let path = text
        .strip_prefix("unix:")
        .or_else(|| text.strip_prefix("burrow+unix://"));
    if let Some(path) = path {
        return (!path.is_empty()).then(|| ServerAddress::Unix(path.into()));
    }
    let address = text
        .strip_prefix("burrow://")
        .map_or(text, |rest| rest.trim_end_matches('/'));
    let (host, port) = address.rsplit_once(':')?;
    let is_good = !host.is_empty() && !host.contains('/') && port.parse::<u16>().is_ok();
    is_good.then(|| ServerAddress::Tcp(address.to_owned()))
}

/// Reads the two names of a queue.
pub fn queue_name(text: &str) -> Result<QueueName<'static>, String> {
    let path = format!("/v1.0/{text}");
    match place(&path) {
        Place::Queue(name) if text.matches('/').count() == 1 => Ok(QueueName {
            account: name.account.into_owned().into(),
            queue: name.queue.into_owned().into(),
        }),
        _ => Err("allowed is ACCOUNT/QUEUE, each percent-encoded as in a URL".to_owned()),
    }
}

/// Reads an origin of web pages.
pub(super) fn origin(text: &str) -> Result<String, String> {
    let is_visible =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    let host = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let is_origin = host.is_some_and(|host| is_visible(host) && !host.contains('/'));
    if text == "*" || is_origin {
        return Ok(text.to_owned());
    }
    Err("allowed is * or one origin, such as https://example.org".to_owned())
}

/// A number in decimal digits and nothing else: no sign, no spaces.
fn digits(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_as_they_are_shown() {
        for (text, value) in [
            ("0", 0),
            ("1000", 1000),
            ("1KiB", 1024),
            ("1MiB", 1 << 20),
            ("3GiB", 3 << 30),
        ] {
            assert_eq!(Bytes::parse(text), Some(Bytes(value)), "{text}");
            assert_eq!(Bytes(value).to_string(), text);
        }
        assert_eq!(Bytes::parse("2048"), Some(Bytes(2048)));
        assert_eq!(Bytes::parse("1 MiB"), Some(Bytes(1 << 20)));
        for bad in [
            "",
            "KiB",
            "-1",
            "+1",
            "1.5MiB",
            "1MB",
            "1kib",
            " 1",
            "1e6",
            "18446744073709551616",
            "17179869184GiB",
        ] {
            assert_eq!(Bytes::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn seconds_are_exact_to_the_millisecond() {
        for (text, ms) in [
            ("0", 0),
            ("600", 600_000),
            ("0.25", 250),
            ("0.001", 1),
            ("12.5", 12_500),
        ] {
            assert_eq!(Seconds::parse(text), Some(Seconds { ms }), "{text}");
            assert_eq!(Seconds { ms }.to_string(), text);
        }
        for bad in [
            "",
            ".",
            "1.",
            ".5",
            "-1",
            "1.0005",
            "1s",
            "1e3",
            "NaN",
            "inf",
            "1..2",
            "99999999999999999999",
        ] {
            assert_eq!(Seconds::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_out_of_range_is_told_the_range() {
        assert_eq!(
            count(1..=9)("0").unwrap_err(),
            "allowed is a whole number from 1 to 9"
        );
        assert_eq!(count(1..=9)("9"), Ok(9));
        assert!(
            bytes(1..=1024)("2KiB")
                .unwrap_err()
                .contains("from 1 to 1KiB")
        );
        assert!(
            seconds(100..=1500)("2")
                .unwrap_err()
                .contains("from 0.1 to 1.5")
        );
    }

    #[test]
    fn the_wire_is_at_addresses_and_paths() {
        let both = wire_addresses("[::1]:9,unix:/a b").unwrap();
        assert_eq!(
            both.0,
            [
                WireAddress::Tcp("[::1]:9".parse().unwrap()),
                WireAddress::Unix("/a b".into())
            ]
        );
        for bad in ["", "unix:", "8081", "127.0.0.1:1,", "/run/burrow.sock"] {
            assert!(wire_addresses(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_server_has_a_name_an_address_and_a_weight() {
        let spec = |name: &str, address, weight| {
            Ok(ServerSpec {
                name: name.to_owned(),
                address,
                weight,
            })
        };
        let tcp = |address: &str| ServerAddress::Tcp(address.to_owned());
        assert_eq!(server_spec("[::1]:9"), spec("[::1]:9", tcp("[::1]:9"), 1));
        assert_eq!(server_spec("a=host:81@3"), spec("a", tcp("host:81"), 3));
        let unix = ServerAddress::Unix("/a=b".into());
        assert_eq!(server_spec("b=unix:/a=b"), spec("b", unix.clone(), 1));
        // The name is the same as that of the address alone.
        assert_eq!(
            server_spec("burrow://host:81/@3"),
            spec("host:81", tcp("host:81"), 3)
        );
        assert_eq!(
            server_spec("burrow+unix:///a=b"),
            spec("unix:/a=b", unix, 1)
        );
        for bad in [
            "",
            "host",
            "http://host:81",
            "burrow://host",
            ":81",
            "host:x",
            "=host:81",
            "a=",
            "host:81@",
            "host:81@0",
            "host:81@101",
            "host:81@-1",
            "unix:",
            "host:70000",
        ] {
            assert!(server_spec(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_origin_is_a_scheme_and_a_host() {
        for good in ["*", "https://example.org", "http://localhost:3000"] {
            assert_eq!(origin(good).as_deref(), Ok(good));
        }
        for bad in [
            "",
            "example.org",
            "https://",
            "https://a/b",
            "https://a b",
            "https://a\r\nb",
            "ftp://a",
        ] {
            assert!(origin(bad).is_err(), "{bad}");
        }
    }
}
