//! Changes to a region whose translations every sharer holds.

use anyhow::{Context, Result};

use super::{Operation, Place, Workload};
use crate::region::{self, Region};
use crate::sharers::Sharers;

/// One way of changing a region.
pub(super) struct Memory {
    workload: Workload,
    // Before the region, so that they have stopped when it goes.
    sharers: Sharers,
    region: Option<Region>,
    /// Where a region is to be moved.
    place: Option<Region>,
    pages: usize,
    /// Whether `mprotect` has made it read-only.
    read_only: bool,
}

impl Memory {
    pub(super) fn start(workload: Workload, place: &Place) -> Result<Self> {
        region::forbid_huge_pages()?;
        let hot = workload == Workload::Mprotect;
        Ok(Self {
            workload,
            sharers: Sharers::start(&place.sharers, hot)?,
            region: None,
            place: None,
            pages: place.pages,
            read_only: false,
        })
    }
}

impl Operation for Memory {
    fn prepare(&mut self) -> Result<()> {
        let region = match &mut self.region {
            Some(region) => region,
            absent => absent.insert(Region::new(self.pages)?),
        };
        if self.workload == Workload::Mremap {
            self.place = Some(Region::reserve(self.pages)?);
        }
        if self.read_only {
            // The sharers read it all the time anyway, and there is nothing new to announce.
            return Ok(());
        }
        self.sharers.read(region)
    }

    fn perform(&mut self) -> Result<()> {
        let region = self.region.as_mut().context("not prepared")?;
        match self.workload {
            Workload::Mprotect => {
                self.read_only = !self.read_only;
                region.protect(self.read_only)?;
            }
            Workload::MadviseDontneed => region.drop_pages()?,
            Workload::MadviseFree => region.lend_pages()?,
            Workload::Mremap => region.move_to(self.place.take().context("not prepared")?)?,
            _ => self.region.take().context("not prepared")?.unmap()?,
        }
        Ok(())
    }
}
