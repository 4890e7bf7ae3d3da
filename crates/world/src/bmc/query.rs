//! The paths of bmcd's API.

use bringup_core::ids::{Sha256, Slot};

use super::api_reply::UsbRoute;

/// A slot as the API counts: from 0.
fn node(slot: Slot) -> u8 {
    slot.number() - 1
}

/// A request that reads.
pub(crate) fn get(what: &str) -> String {
    format!("/api/bmc?opt=get&type={what}")
}

/// The last 16 KiB of a slot's serial console.
pub(crate) fn console(slot: Slot) -> String {
    format!("{}&node={}", get("uart"), node(slot))
}

/// Gives a slot power or takes it. In power alone nodes are counted from 1.
pub(crate) fn power(slot: Slot, on: bool) -> String {
    format!("/api/bmc?opt=set&type=power&node{slot}={}", u8::from(on))
}

/// Makes a module a disk of the BMC.
pub(crate) fn storage_mode(slot: Slot) -> String {
    format!("/api/bmc?opt=set&type=node_to_msd&node={}", node(slot))
}

/// Lets modules boot by themselves again.
pub(crate) fn clear_usb_boot() -> String {
    "/api/bmc?opt=set&type=clear_usb_boot".to_owned()
}

/// Stores `device` as the USB mode of a slot, with the port beside it as the other end, as it is from the factory.
pub(crate) fn usb_device(slot: Slot) -> String {
    format!("/api/bmc?opt=set&type=usb&node={}&mode=1", node(slot))
}

/// Sets where the USB bus goes.
pub(crate) fn usb(route: UsbRoute) -> String {
    format!("/api/bmc?opt=set&type=usb&node={}&mode={}", node(route.slot), route.mode)
}

/// Flashes from a file that the BMC has. A sum would be ignored.
pub(crate) fn flash_local(slot: Slot, path: &str) -> String {
    format!("/api/bmc?opt=set&type=flash&node={}&file={}&local", node(slot), encoded(path))
}

/// Announces a file of so many bytes that will be uploaded.
pub(crate) fn flash_upload(slot: Slot, name: &str, length: u64, sha256: Option<Sha256>) -> String {
    let sum = sha256.map(|sha256| format!("&sha256={sha256}")).unwrap_or_default();
    format!("/api/bmc?opt=set&type=flash&node={}&file={}&length={length}{sum}", node(slot), encoded(name))
}

/// Where an announced file is uploaded to.
pub(crate) fn upload(handle: u64) -> String {
    format!("/api/bmc/upload/{handle}")
}

/// Ends a transfer.
pub(crate) fn cancel(handle: u64) -> String {
    format!("/api/bmc/upload/{handle}/cancel")
}

fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(number: u8) -> Slot {
        Slot::new(number).unwrap()
    }

    #[test]
    fn they_are_those_of_the_recordings() {
        let recordings = [
            include_str!("../../tests/recordings/bmcd-http.jsonl"),
            include_str!("../../tests/recordings/bmcd-progress.jsonl"),
        ]
        .concat();
        let sum = Sha256::parse("b4c0c1574140652a4454fb2c4e1369b9f075b4f9322eb370413af399c0908135").unwrap();
        for path in [
            get("power"),
            get("flash"),
            get("about"),
            get("other"),
            get("usb"),
            console(slot(1)),
            power(slot(1), true),
            power(slot(3), true),
            storage_mode(slot(2)),
            clear_usb_boot(),
            flash_local(slot(3), "/mnt/img.raw"),
            flash_local(slot(1), "/mnt/sdcard/images/z.img.xz"),
            flash_upload(slot(2), "img.raw", 8_388_608, Some(sum)),
            flash_upload(slot(1), "a.raw", 8_388_608, None),
            upload(290_673_065),
            cancel(2_555_144_804),
        ] {
            assert!(recordings.contains(&format!("\"path\": \"{path}\"")), "{path}");
        }
        // Recorded with mode 2, which is `flash`.
        let (recorded, device) = ("/api/bmc?opt=set&type=usb&node=1&mode=2", usb_device(slot(2)));
        assert!(recordings.contains(recorded) && device == recorded.replace("mode=2", "mode=1"), "{device}");
        assert_eq!(power(slot(4), false), "/api/bmc?opt=set&type=power&node4=0");
        let odd = flash_local(slot(1), "/mnt/a b&local=no/ü.img");
        assert_eq!(odd, "/api/bmc?opt=set&type=flash&node=0&file=/mnt/a%20b%26local%3Dno/%C3%BC.img&local");
    }
}
