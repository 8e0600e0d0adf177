//! What an owner wants of the list of devices, as the next link. Whether somebody may sign it is for [`Chain::append`].
//!
//! Spec: keyserver §3.8.

use super::{Chain, Device, Link, Signatory, SignedLink, are_distinct, is_device_name};
use crate::ids::DeviceId;
use crate::limits::{CHAIN_BYTES_MAX, CHAIN_LINKS_MAX, DEVICE_ID_MAX, DEVICES_PER_ACCOUNT_MAX, LINK_BYTES_MAX};

/// One change of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// One more device.
    Add(Device),
    /// A device is one no longer.
    Revoke(DeviceId),
    /// A device is called otherwise; empty for no name.
    Rename(DeviceId, String),
    /// Another recovery key; only the one before signs this.
    RenewRecovery([u8; 32]),
    /// Every device is lost or stolen: this one alone is listed from now on. Only the recovery key signs this.
    Recover(Device),
}

/// Why there is no such link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotChange {
    /// Eight devices are the most.
    #[error("an account has at most {DEVICES_PER_ACCOUNT_MAX} devices; revoke one first")]
    TooManyDevices,
    /// The number of the new device is one of the list already, or was one.
    #[error("the number {0} is or was another device's; make the request anew on the new device")]
    NumberTaken(DeviceId),
    /// Nobody to rename or revoke.
    #[error("the account has no device {0}")]
    NoSuchDevice(DeviceId),
    /// A list without devices is none.
    #[error("this is the only device; an account has at least one")]
    LastDevice,
    /// Two devices of one name.
    #[error("another device is called that already")]
    NameTaken,
    /// A name that cannot be one.
    #[error("a device's name is one line of at most 48 bytes without spaces around it")]
    BadName,
    /// The chain has no room.
    #[error("the account has changed its devices as often as it can; only the recovery words go on")]
    Full,
}

impl Chain {
    /// The link that makes this change, to be signed by whoever may.
    ///
    /// # Errors
    /// [`CannotChange`].
    pub fn change(&self, change: &Change) -> Result<Link, CannotChange> {
        let place = match change {
            Change::Recover(_) => self.recovery_place(),
            _ => self.links.len(),
        };
        let before = place.checked_sub(1).and_then(|last| self.links.get(last)).ok_or(CannotChange::Full)?;
        let link = Link { version: place as u64, previous: Some(before.hash()), ..before.link.clone() };
        let link = self.changed(link, change)?;
        let fits = link.encoded_len() <= LINK_BYTES_MAX && self.has_room(place, &link);
        if fits { Ok(link) } else { Err(CannotChange::Full) }
    }

    /// The smallest number that no device of this account ever had; if all were used, one that none has today.
    #[must_use]
    pub fn free_device_id(&self) -> Option<DeviceId> {
        let ids = || (1..=DEVICE_ID_MAX).filter_map(|id| DeviceId::new(id.into()));
        let ever = |id: &DeviceId| self.links.iter().any(|signed| signed.link.device(*id).is_some());
        ids().find(|id| !ever(id)).or_else(|| ids().find(|id| self.device(*id).is_none()))
    }

    fn changed(&self, mut link: Link, change: &Change) -> Result<Link, CannotChange> {
        match change {
            Change::Add(device) => {
                if link.devices.len() >= DEVICES_PER_ACCOUNT_MAX {
                    return Err(CannotChange::TooManyDevices);
                }
                self.is_free(device.id)?;
                link.devices.push(device.clone());
                link.devices.sort_by_key(|device| device.id);
            }
            Change::Revoke(id) => {
                link.device(*id).ok_or(CannotChange::NoSuchDevice(*id))?;
                link.devices.retain(|device| device.id != *id);
            }
            Change::Rename(id, name) => {
                let device = link.devices.iter_mut().find(|device| device.id == *id);
                device.ok_or(CannotChange::NoSuchDevice(*id))?.name.clone_from(name);
            }
            Change::RenewRecovery(key) => link.recovery_key = *key,
            Change::Recover(device) => {
                self.is_free(device.id)?;
                link.devices = vec![device.clone()];
            }
        }
        if link.devices.is_empty() {
            return Err(CannotChange::LastDevice);
        }
        if !link.devices.iter().all(|device| is_device_name(&device.name)) {
            return Err(CannotChange::BadName);
        }
        if are_distinct(&link.devices) { Ok(link) } else { Err(CannotChange::NameTaken) }
    }

    /// A number is used again only when there is no other, so that nobody takes one device for another.
    fn is_free(&self, id: DeviceId) -> Result<(), CannotChange> {
        let never_used = self.links.iter().all(|signed| signed.link.device(id).is_none());
        if never_used || (self.free_device_id() == Some(id)) { Ok(()) } else { Err(CannotChange::NumberTaken(id)) }
    }

    /// Where a link of the recovery key goes: after the newest, or, if a thief has filled the chain, after the last that
    /// it signed before.
    fn recovery_place(&self) -> usize {
        let room = self.links.len() < CHAIN_LINKS_MAX && self.bytes().saturating_add(LINK_BYTES_MAX) <= CHAIN_BYTES_MAX;
        if room {
            return self.links.len();
        }
        let last = self.links.iter().rposition(|signed| signed.signatory == Signatory::Recovery);
        last.unwrap_or(0).saturating_add(1)
    }

    fn has_room(&self, place: usize, link: &Link) -> bool {
        let kept: usize = self.links.iter().take(place).map(|signed| signed.bytes.len()).sum();
        place < CHAIN_LINKS_MAX && kept.saturating_add(link.encoded_len()) <= CHAIN_BYTES_MAX
    }

    fn bytes(&self) -> usize {
        self.links.iter().map(|signed: &SignedLink| signed.bytes.len()).sum()
    }
}
