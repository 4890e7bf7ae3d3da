//! What everything else is named by: nodes, boards, slots, targets, stages, labels, contents, disks.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Digest;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes the text as it stands; the site's check has already refused what cannot be a name.
            pub fn new(text: impl AsRef<str>) -> Self {
                Self(Arc::from(text.as_ref()))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Cow::<str>::deserialize(deserializer).map(Self::new)
            }
        }
    };
}

name! {
    /// A machine of the cluster, by its inventory name.
    NodeName
}
name! {
    /// A Turing Pi board, by the inventory name of its BMC.
    BoardName
}
name! {
    /// Names one step for ever: `node03/root_device`. Plans, journals and tests refer to it.
    Label
}

impl Label {
    /// The label of what a resource called `what` does for `owner`.
    pub fn of(owner: impl fmt::Display, what: impl fmt::Display) -> Self {
        Self::new(format!("{owner}/{what}"))
    }
}

/// A slot of a board, 1 to 4 as printed on it (the BMC's API counts from 0).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
pub struct Slot(u8);

impl Slot {
    /// All that a board has.
    pub const ALL: [Self; 4] = [Self(1), Self(2), Self(3), Self(4)];

    /// A slot by its printed number; `None` outside 1–4.
    pub fn new(number: u8) -> Option<Self> {
        (1..=4).contains(&number).then_some(Self(number))
    }

    /// The printed number, 1 to 4.
    pub fn number(self) -> u8 {
        self.0
    }
}

impl<'de> Deserialize<'de> for Slot {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(u8::deserialize(deserializer)?).ok_or_else(|| D::Error::custom("a board has the slots 1 to 4"))
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Something that is asked and acted on.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The machine that runs `bringup`.
    Controller,
    /// A board's management controller.
    Bmc(BoardName),
    /// A machine of the cluster, over SSH.
    Node(NodeName),
    /// The Kubernetes API.
    Cluster,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Controller => f.pad("controller"),
            Self::Bmc(board) => fmt::Display::fmt(board, f),
            Self::Node(node) => fmt::Display::fmt(node, f),
            Self::Cluster => f.pad("cluster"),
        }
    }
}

/// Something that one step at a time has to itself.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Span {
    /// The user's known_hosts.
    KnownHosts,
    /// The cluster, of which one node at a time is in maintenance.
    Maintenance,
    /// A board's USB bus.
    Usb(BoardName),
    /// A board's uplink, over which images come.
    Uplink(BoardName),
    /// The fetch of an image to the controller.
    Image(Sha256),
    /// The fetch to the controller of what k3s needs on this architecture.
    K3sArtifacts(String),
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KnownHosts => f.write_str("controller/known_hosts"),
            Self::Maintenance => f.write_str("cluster/maintenance"),
            Self::Usb(board) => write!(f, "{board}/usb"),
            Self::Uplink(board) => write!(f, "{board}/uplink"),
            Self::Image(sha256) => write!(f, "controller/{sha256}"),
            Self::K3sArtifacts(architecture) => write!(f, "controller/k3s-artifacts-{architecture}"),
        }
    }
}

/// One of the seven stages, by its tag. They are in the order in which they run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageName {
    /// Command-line tools on the controller.
    Tools,
    /// Operating systems on the boards' modules.
    Flash,
    /// SSH identities of boards and nodes.
    KnownHosts,
    /// The root file system's move to NVMe.
    MoveFs,
    /// Packages, drivers and reboots.
    UpdatePackages,
    /// Kubernetes on the nodes.
    K3s,
    /// Argo CD and the root application.
    Cluster,
}

impl StageName {
    /// All stages in their order.
    pub const ALL: [Self; 7] =
        [Self::Tools, Self::Flash, Self::KnownHosts, Self::MoveFs, Self::UpdatePackages, Self::K3s, Self::Cluster];

    /// The tag that selects this stage.
    pub fn tag(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Flash => "flash",
            Self::KnownHosts => "known_hosts",
            Self::MoveFs => "move_fs",
            Self::UpdatePackages => "update_packages",
            Self::K3s => "k3s",
            Self::Cluster => "cluster",
        }
    }
}

impl fmt::Display for StageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.tag())
    }
}

impl FromStr for StageName {
    type Err = ();

    fn from_str(tag: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|stage| stage.tag() == tag).ok_or(())
    }
}

/// A SHA-256, by which content is named. It is shown in lower-case hexadecimal, as `sha256sum` prints it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256([u8; 32]);

impl Sha256 {
    /// The sum of `bytes`.
    pub fn of(bytes: impl AsRef<[u8]>) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// Reads a sum that somebody else wrote down: 64 hexadecimal digits of either case. `None`: it is anything else.
    pub const fn parse(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return None;
        }
        let (mut sum, mut place) = ([0; 32], 0);
        // No `for` in a const function.
        while place < 64 {
            let value = match digits[place] {
                digit @ b'0'..=b'9' => digit - b'0',
                digit @ b'a'..=b'f' => digit - b'a' + 10,
                digit @ b'A'..=b'F' => digit - b'A' + 10,
                _ => return None,
            };
            sum[place / 2] = sum[place / 2] << 4 | value;
            place += 1;
        }
        Some(Self(sum))
    }

    /// A sum that is written in our own source.
    ///
    /// # Panics
    ///
    /// Where it is none: in a constant, such a source does not compile.
    #[expect(clippy::panic, reason = "it ends a compilation, not a run")]
    pub(crate) const fn known(text: &str) -> Self {
        match Self::parse(text) {
            Some(sum) => sum,
            None => panic!("not a SHA-256"),
        }
    }

    /// The sum itself.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Its first 16 digits: enough to tell a few files apart.
    pub fn short(&self) -> String {
        format!("{self:.16}")
    }
}

impl From<sha2::Sha256> for Sha256 {
    fn from(hash: sha2::Sha256) -> Self {
        Self(hash.finalize().into())
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&hex::encode(self.0))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl Serialize for Sha256 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sha256 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("a SHA-256 has 64 hexadecimal digits"))
    }
}

/// The path of a disk, such as `/dev/nvme0n1` or `/dev/disk/by-path/platform-fe150000.pcie-pci-0000:01:00.0-nvme-1`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DiskPath(Arc<str>);

impl DiskPath {
    /// Reads a path below `/dev`, of letters, digits and what udev leaves as it is in names. `None`: it is anything else, or
    /// leads out of there.
    pub fn parse(path: &str) -> Option<Self> {
        let usual = |character: char| character.is_ascii_alphanumeric() || "-_.:+=@#".contains(character);
        let part = |part: &str| !part.is_empty() && !part.starts_with('.') && part.chars().all(usual);
        let good = path.len() < 256 && path.strip_prefix("/dev/")?.split('/').all(part);
        good.then(|| Self(Arc::from(path)))
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a partition is one of this disk: `/dev/nvme0n1p2` of `/dev/nvme0n1`, `/dev/sda2` of `/dev/sda`.
    pub fn has(&self, partition: &str) -> bool {
        let Some(rest) = partition.strip_prefix(self.as_str()) else { return false };
        let ends_in_digit = self.0.ends_with(|last: char| last.is_ascii_digit());
        let number = if ends_in_digit { rest.strip_prefix('p') } else { Some(rest) };
        number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
    }
}

impl fmt::Display for DiskPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for DiskPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl Serialize for DiskPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for DiskPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("a disk is a path below /dev"))
    }
}

#[cfg(test)]
mod tests {
    use super::{DiskPath, Sha256};

    #[test]
    fn a_sum_is_64_digits_and_nothing_else() {
        let sum = Sha256::of(b"abc");
        let text = sum.to_string();
        assert_eq!(Sha256::parse(&text), Some(sum));
        assert_eq!(Sha256::parse(&text.to_uppercase()), Some(sum));
        for other in ["", "abc", &text[1..], &format!("{text}0"), &format!(" {}", &text[1..]), &text.replace('b', "/")]
        {
            assert_eq!(Sha256::parse(other), None, "{other}");
        }
        // 64 bytes, of which the last character takes two.
        assert_eq!(Sha256::parse(&format!("{}é", &text[2..])), None);
        assert_eq!(serde_json::from_str::<Sha256>(&format!("\"{text}\"")).ok(), Some(sum));
        assert!(serde_json::from_str::<Sha256>("\"../../x\"").is_err());
    }

    #[test]
    fn it_agrees_with_sha256sum() {
        for (bytes, expected) in [
            ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ] {
            assert_eq!(Sha256::of(bytes).to_string(), expected);
        }
        assert_eq!(Sha256::of("abc").short(), "ba7816bf8f01cfea");
    }

    #[test]
    fn a_disk_is_below_dev() {
        for (path, good) in [
            ("/dev/nvme0n1", true),
            ("/dev/disk/by-id/nvme-Samsung_SSD_980_1TB_S64ANS0T", true),
            ("/dev/disk/by-path/platform-fe150000.pcie-pci-0000:01:00.0-nvme-1", true),
            ("/dev/disk/by-id/wwn-0x5002538e40a0f7b1", true),
            ("nvme0n1", false),
            ("/dev/", false),
            ("/dev//sda", false),
            ("/dev/sda/", false),
            ("/dev/../etc/passwd", false),
            ("/dev/./sda", false),
            ("/dev/sda; reboot", false),
            ("/dev/sda\nx", false),
            ("/dev/$(x)", false),
            ("/etc/passwd", false),
        ] {
            assert_eq!(DiskPath::parse(path).is_some(), good, "{path}");
        }
        assert!(DiskPath::parse(&format!("/dev/{}", "a".repeat(300))).is_none());
    }

    #[test]
    fn a_partition_is_told_from_a_longer_disk_name() {
        for (partition, disk, on) in [
            ("/dev/nvme0n1p2", "/dev/nvme0n1", true),
            ("/dev/nvme0n12p2", "/dev/nvme0n1", false),
            ("/dev/nvme0n1", "/dev/nvme0n1", false),
            ("/dev/sda2", "/dev/sda", true),
            ("/dev/sdab2", "/dev/sda", false),
            ("/dev/mmcblk0p2", "/dev/nvme0n1", false),
        ] {
            assert_eq!(DiskPath::parse(disk).map(|disk| disk.has(partition)), Some(on), "{partition} on {disk}");
        }
    }
}
