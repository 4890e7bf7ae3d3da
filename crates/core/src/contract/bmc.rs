//! A BMC: its slots, its SD card, and the module that it writes.

use crate::contract::controller::HostKeyPair;
use crate::contract::{FileState, FlashJobState, FlashMarkState, FlashPhase, SdCardState};
use crate::ids::{BoardName, NodeName, Sha256, Slot};
use crate::text::known_hosts::HostKey;

/// What cloud-init is to make of a flashed module, and the key that the module shows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CloudSeed {
    /// Host name.
    pub hostname: String,
    /// Account to make.
    pub account: String,
    /// Public keys that may log in to it.
    pub public_keys: Vec<String>,
    /// A new one for every flash, or cloud-init ignores the rest.
    pub instance_id: String,
    /// Its SSH server's.
    pub host_key: HostKeyPair,
}

/// Where the bytes of a flash come from.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ImageSource {
    /// A file on the BMC's SD card.
    Staged(String),
    /// A file on the controller, sent while it is written: does not survive us.
    Streamed(String),
}

vocabulary! { BoardName:
    questions {
        /// From outside: what its name resolves to. Empty: it does not resolve.
        Addresses {} -> Vec<String> = ("find its addresses"), within 1 min;

        /// From outside: whether an SSH server speaks at any of its addresses. Bounded to 3 s.
        SshBanner {} -> bool = ("see whether it answers"), within 1 min;

        /// From outside: the host keys that its SSH server shows now.
        HostKeys {} -> Vec<HostKey> = ("see its host key"), within 1 min;

        /// Whether it says that a slot has power to run. A module that is a disk of the BMC runs nothing.
        SlotPower {
            /// Which.
            slot: Slot,
        } -> bool = ("see whether slot {slot} has power"), within 1 min;

        /// Our own mark of a slot's flash.
        FlashMark {
            /// Which.
            slot: Slot,
        } -> Option<FlashMarkState> = ("read the mark of slot {slot}"), within 1 min;

        /// The flash that is under way, or the last that ended since the BMC booted.
        FlashJob {} -> Option<FlashJobState> = ("see how far the flash is"), within 1 min;

        /// An image on the SD card, read through: a BMC sums some 15 MB a second, and an image has a gigabyte and more. `None`:
        /// there is none.
        ImageFile {
            /// Absolute path.
            path: String,
        } -> Option<FileState> = ("check {path}"), within 15 min;

        /// That these bytes are an image that it can write to a module. A fault says why they are not.
        ImageIsFit {
            /// Where they come from.
            source: ImageSource,
            /// Their sum.
            sha256: Sha256,
        } -> () = ("check the image"), within 15 min;

        /// Whether its daemon unpacks xz while it writes. `None`: nothing tells.
        UnpacksXz {} -> Option<bool> = ("see whether it unpacks xz"), within 1 min;

        /// The modules on its USB bus that wait there to be booted, as `VENDOR:PRODUCT at PORT`. bmcd writes to the first that it
        /// finds, whatever slot it is in.
        WaitingModules {} -> Vec<String> = ("see which modules wait on its USB bus"), within 1 min;

        /// The slot whose module its daemon puts into USB boot whenever it starts, as its USB mode is stored as `flash`. `None`:
        /// no slot, or `tpi`, which does not tell, is all that there is.
        StoredUsbBoot {} -> Option<Slot> = ("read its stored USB mode"), within 1 min;

        /// The SD card. `None`: none is mounted.
        SdCard {} -> Option<SdCardState> = ("look at its SD card"), within 1 min;

        /// The last lines of a slot's serial console.
        Console {
            /// Which.
            slot: Slot,
        } -> Vec<String> = ("read the console of slot {slot}"), within 1 min;
    }

    actions {
        /// Put an image on the SD card, checked there; what the controller has not is fetched meanwhile.
        StageImage {
            /// On the BMC.
            to: String,
        } with {
            /// From where: `https://`, `http://`, `file://` or an absolute path.
            url: String,
            /// Its sum.
            sha256: Sha256,
            /// Absolute path where the controller keeps it.
            cached: String,
        } = ("put the image at {to}"), within 60 min;

        /// Write our mark of a slot's flash.
        WriteFlashMark {
            /// Which slot.
            slot: Slot,
            /// How far the flash is.
            phase: FlashPhase,
        } with {
            /// What it says.
            mark: FlashMarkState,
        } = ("mark slot {slot} as {}", phase.word()), within 2 min;

        /// Cut a slot's power.
        PowerOff {
            /// Which.
            slot: Slot,
        } = ("power off slot {slot}"), within 2 min;

        /// Give a slot power, with its USB back to normal.
        PowerOn {
            /// Which.
            slot: Slot,
        } = ("power on slot {slot}"), within 2 min;

        /// Start to write an image to a slot's module.
        StartFlash {
            /// Which slot.
            slot: Slot,
            /// For which node.
            node: NodeName,
        } with {
            /// The instance id of the mark that it belongs to: an old transfer never answers for a new one.
            order: String,
            /// From where.
            source: ImageSource,
            /// The sum of its image.
            sha256: Sha256,
        } = ("flash slot {slot} ({node})"), within 2 min;

        /// Set a slot's USB mode back to `device`, and let its module boot from its own storage again.
        ClearStoredUsbBoot {
            /// Which slot.
            slot: Slot,
        } = ("set the USB mode of slot {slot} to device"), within 2 min;

        /// Restart its daemon, which frees a transfer that hangs.
        ///
        /// Refused where other slots have power that this run did not give them: it may take that.
        RestartBmcDaemon {
            /// The slot whose flash stalls: it is switched off, and stays so.
            slot: Slot,
        } = ("restart the BMC's daemon"), within 2 min;

        /// Mount a module as mass storage and give it its identity: cloud-init's files, and its host key, which goes to the root
        /// file system.
        SeedCloudInit {
            /// Which slot.
            slot: Slot,
            /// Of which node.
            node: NodeName,
        } with {
            /// What cloud-init shall make of it.
            seed: CloudSeed,
        } = ("give slot {slot} the identity of {node}"), within 5 min, hides (vec![seed.host_key.private.clone()]);
    }
}
