use crate::chipset::Facts;
macro_rules! dev {
    ($n:ident) => {
        #[derive(Debug)]
        pub struct $n;
        impl $n {
            pub fn new() -> Self {
                Self
            }
        }
    };
}
dev!(Pit);
dev!(Pic);
dev!(AcpiPm);
dev!(Testdev);
#[derive(Debug)]
pub struct Cmos;
impl Cmos {
    pub fn new(_: u64, _: &Facts) -> Self {
        Self
    }
    pub fn read(&mut self, _: u16, _: u64) -> u8 {
        0
    }
    pub fn write(&mut self, _: u16, _: u8, _: u64) {}
}
#[derive(Debug)]
pub struct FwCfg;
impl FwCfg {
    pub fn new(_: &Facts) -> Self {
        Self
    }
    pub fn read(&mut self, _: u16, _: &mut [u8]) {}
    pub fn write(&mut self, _: u16, _: &[u8]) {}
}
impl Pit {
    pub fn read(&mut self, _: u16, _: u64) -> u8 {
        0
    }
    pub fn write(&mut self, _: u16, _: u8, _: u64) {}
    pub fn advance(&mut self, _: u64) -> bool {
        false
    }
    pub fn deadline(&self) -> Option<u64> {
        None
    }
}
impl Pic {
    pub fn read(&mut self, _: u16) -> u8 {
        0
    }
    pub fn write(&mut self, _: u16, _: u8) {}
    pub fn set_line(&mut self, _: u8, _: bool) {}
    pub fn output(&self) -> bool {
        false
    }
    pub fn acknowledge(&mut self) -> u8 {
        7
    }
}
impl AcpiPm {
    pub fn read(&self, _: u16, _: &mut [u8]) {}
    pub fn write(&mut self, _: u16, _: &[u8]) -> Option<PowerRequest> {
        None
    }
}
impl Testdev {
    pub fn read(&self, _: u16, _: &mut [u8]) {}
    pub fn write(&mut self, _: u16, _: &[u8]) -> Option<(u8, bool)> {
        None
    }
    pub fn read_memory(&self, _: u32, _: &mut [u8]) {}
    pub fn write_memory(&mut self, _: u32, _: &[u8]) {}
}
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerRequest {
    PowerOff,
    Reset,
}
pub mod pm_timer {
    pub fn read(_: u16, _: &mut [u8], _: u64) {}
}
pub mod debug_exit {
    pub fn code(_: &[u8]) -> u32 {
        1
    }
}
pub mod reset {
    use super::PowerRequest;
    pub fn write(_: u16, _: &[u8]) -> Option<PowerRequest> {
        None
    }
}
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    Pic(u16),
    Pit(u16),
    Cmos(u16),
    AcpiPm(u16),
    PmTimer(u16),
    FwCfg(u16),
    Testdev(u16),
    DebugExit,
    Reset(u16),
}
