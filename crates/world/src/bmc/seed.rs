//! A flashed module's identity.

use bringup_core::contract::bmc::CloudSeed;
use bringup_core::contract::controller::HostKeyPair;
use bringup_core::ids::{Slot, Target};
use bringup_core::site::{Kind, Site};

use super::api_reply::UsbRoute;
use super::board::Bmc;
use super::controls::Controls;
use super::error::BmcError;
use super::{cloud, record};
use crate::image::Image;
use crate::shell::bmc;
use crate::shell::bmc_seed::{self, NO_DISK, OTHER_BYTES, OTHER_PORT, On, PLACES, SeedFile, SeedScript};

/// Where a password would still be taken if the image's own configuration said so: sshd goes by the first that it reads.
const NO_PASSWORDS: &str = "# Written by bringup.\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n";

impl Bmc<'_> {
    /// Makes a module a disk, proves that it holds what was written, gives it its identity, and leaves it off.
    pub(super) async fn seed(&self, site: &Site, slot: Slot, seed: &CloudSeed) -> Result<(), BmcError> {
        let image = self.flashed_image(slot).await?;
        let HostKeyPair { private, public } = &seed.host_key;
        let public_line = format!("{public} {}\n", seed.hostname);
        let (drop_in, user_data, meta_data) = (cloud::drop_in(seed), cloud::user_data(seed), cloud::meta_data(seed));
        let hostname = format!("{}\n", seed.hostname);
        let file = |on, path, text, mode| SeedFile { on, path, text, mode };
        let files = [
            file(On::Root, "etc/cloud/cloud.cfg.d/zz-bringup.cfg", drop_in.as_str(), 0o644),
            file(On::Root, "etc/ssh/sshd_config.d/00-bringup.conf", NO_PASSWORDS, 0o644),
            file(On::Root, "etc/ssh/ssh_host_ed25519_key", private.expose(), 0o600),
            file(On::Root, "etc/ssh/ssh_host_ed25519_key.pub", public_line.as_str(), 0o644),
            // The first lease is asked for under this name, before cloud-init sets it.
            file(On::Root, "etc/hostname", hostname.as_str(), 0o644),
            file(On::Seed, "user-data", user_data.as_str(), 0o644),
            file(On::Seed, "meta-data", meta_data.as_str(), 0o644),
        ];
        let witnesses: Vec<_> = image
            .witnesses
            .iter()
            .map(|witness| (witness.offset, witness.length, witness.sha256, witness.what.as_str()))
            .collect();
        let script = bmc_seed::seed(&SeedScript {
            slot: slot.number(),
            vendor: vendor(site, self.target, slot),
            witnesses: &witnesses,
            seed: image.seed,
            root: image.root,
            files: &files,
            places: PLACES,
        });
        let controls = self.controls().await?;
        let route = controls.usb_route().await?;
        self.read(&bmc::note_disk(slot.number())).await?;
        let written = match controls.storage_mode(slot).await {
            Ok(()) => self.write_identity(&script).await,
            Err(trouble) => Err(trouble),
        };
        // After a failure too: bmcd leaves a module with power that it did not find on USB.
        let left = leave_storage_mode(controls.as_ref(), slot, route).await;
        if left.is_ok() {
            self.read(bmc::NO_DISK_NOTED).await?;
        }
        written?;
        left
    }

    async fn write_identity(&self, script: &str) -> Result<(), BmcError> {
        let section = self.piece(script).await?;
        match section.status {
            0 => Ok(()),
            NO_DISK => Err(BmcError::NoModule(section.err)),
            OTHER_BYTES => Err(BmcError::Other(section.err)),
            OTHER_PORT => Err(BmcError::Unable(
                section.err,
                "find out which module was written, and that no other waits for a boot over USB; then flash this one again: \
                 -e flash_force=true --limit NODE. If the recorded port is wrong, or the board was replaced, remove \
                 /root/.bringup/port-* on the BMC first",
            )),
            status => {
                Err(BmcError::Script(format!("{}\nexit status {status}", section.err.trim()).trim_start().to_owned()))
            }
        }
    }

    /// What was written to a slot, by our mark and what is kept of that image.
    async fn flashed_image(&self, slot: Slot) -> Result<Image, BmcError> {
        let unknown = |what: &str| {
            BmcError::Unable(
                format!("{what} on the BMC, so nothing could prove what the module holds"),
                "flash it anew: -e flash_force=true --limit NODE",
            )
        };
        let mark = self.read(&bmc::read_state(&record::mark_name(slot))).await?;
        let mark =
            mark.and_then(|text| record::read_mark(&text)).ok_or_else(|| unknown("there is no mark of its flash"))?;
        let image = self.read(&bmc::read_state(&record::image_name(mark.image_sha256))).await?;
        let image = image.and_then(|text| serde_json::from_str(&text).ok());
        image.ok_or_else(|| unknown("what its image is, is not kept"))
    }
}

/// bmcd leaves the USB bus at the module that it made a disk. Where it could not be told to boot by itself without booting, it
/// is told when it is given power.
async fn leave_storage_mode(controls: &dyn Controls, slot: Slot, route: Option<UsbRoute>) -> Result<(), BmcError> {
    let normal = if controls.normal_mode_boots() { Ok(()) } else { controls.normal_mode(slot).await };
    controls.set_power(slot, false).await?;
    normal?;
    match route.filter(|route| !route.boots_over_usb()) {
        Some(route) => controls.set_usb_route(route).await,
        None => Ok(()),
    }
}

/// How a slot's module names itself as a disk.
fn vendor(site: &Site, board: &Target, slot: Slot) -> &'static str {
    let here = |place: &bringup_core::site::Place| Target::Bmc(place.board.clone()) == *board && place.slot == slot;
    let node = site.nodes.iter().find(|node| node.place.as_ref().is_some_and(here));
    match node.map(|node| node.kind) {
        Some(Kind::Cm4) => "RPi-MSD-",
        _ => "Rockchip",
    }
}
