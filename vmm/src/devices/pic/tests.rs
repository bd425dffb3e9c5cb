use super::*;

const READ_IRR: u8 = 0x0A;
const READ_ISR: u8 = 0x0B;
const POLL: u8 = 0x0C;
const EOI: u8 = 0x20;
const SPECIFIC_EOI: u8 = 0x60;
const SPECIAL_MASK: u8 = 0x68;

/// ICW1 to ICW4 of both: vectors from 0x30, nothing masked.
fn initialised_with(icw4: u8) -> Pic {
    let mut pic = Pic::new();
    for (command, data, base, wiring) in [
        (PIC_MASTER_PORT, MASTER_DATA, 0x30, 4),
        (PIC_SLAVE_PORT, SLAVE_DATA, 0x38, 2),
    ] {
        pic.write(command, 0x11);
        for value in [base, wiring, icw4] {
            pic.write(data, value);
        }
    }
    pic
}

fn initialised() -> Pic {
    initialised_with(0x01)
}

fn edge(pic: &mut Pic, line: u8) {
    pic.set_line(line, false);
    pic.set_line(line, true);
}

/// The vectors that the processor takes without an EOI.
fn taken(pic: &mut Pic) -> Vec<u8> {
    std::iter::from_fn(|| pic.output().then(|| pic.acknowledge()))
        .take(32)
        .collect()
}

fn register(pic: &mut Pic, port: u16, command: u8) -> u8 {
    pic.write(port, command);
    pic.read(port)
}

#[test]
fn an_edge_is_one_interrupt() {
    let mut pic = initialised();
    edge(&mut pic, 4);
    assert_eq!(taken(&mut pic), [0x34]);
    pic.write(PIC_MASTER_PORT, EOI);
    assert!(!pic.output(), "the line is still high");
    edge(&mut pic, 4);
    assert_eq!(taken(&mut pic), [0x34]);
}

#[test]
fn a_level_interrupts_as_long_as_it_is_high() {
    let mut pic = initialised();
    pic.write(SLAVE_ELCR, 1 << 3);
    pic.set_line(11, true);
    for _ in 0..2 {
        assert_eq!(taken(&mut pic), [0x3B]);
        pic.write(PIC_SLAVE_PORT, EOI);
        pic.write(PIC_MASTER_PORT, EOI);
    }
    pic.set_line(11, false);
    assert!(!pic.output());
}

#[test]
fn lines_of_the_isa_bus_stay_edges() {
    let mut pic = Pic::new();
    pic.write(ELCR_PORT, 0xFF);
    pic.write(SLAVE_ELCR, 0xFF);
    assert_eq!(pic.read(ELCR_PORT), 0xF8);
    assert_eq!(pic.read(SLAVE_ELCR), 0xDE);
}

#[test]
fn an_interrupt_nests_into_those_below_it() {
    let mut pic = initialised();
    edge(&mut pic, 5);
    assert_eq!(taken(&mut pic), [0x35]);
    edge(&mut pic, 6);
    edge(&mut pic, 3);
    assert_eq!(taken(&mut pic), [0x33]);
    assert_eq!(register(&mut pic, PIC_MASTER_PORT, READ_ISR), 0b0010_1000);
    assert_eq!(register(&mut pic, PIC_MASTER_PORT, READ_IRR), 0b0100_0000);
    // An EOI that names none ends the highest.
    pic.write(PIC_MASTER_PORT, EOI);
    assert_eq!(register(&mut pic, PIC_MASTER_PORT, READ_ISR), 0b0010_0000);
    pic.write(PIC_MASTER_PORT, SPECIFIC_EOI | 5);
    assert_eq!(taken(&mut pic), [0x36]);
}

#[test]
fn the_second_controller_has_the_priority_of_line_2() {
    let mut pic = initialised();
    for line in [3, 1, 15, 8] {
        edge(&mut pic, line);
    }
    assert_eq!(taken(&mut pic), [0x31]);
    pic.write(PIC_MASTER_PORT, EOI);
    assert_eq!(taken(&mut pic), [0x38]);
    pic.write(PIC_SLAVE_PORT, EOI);
    assert!(!pic.output(), "line 2 is in service");
    pic.write(PIC_MASTER_PORT, EOI);
    assert_eq!(taken(&mut pic), [0x3F]);
    pic.write(PIC_SLAVE_PORT, EOI);
    pic.write(PIC_MASTER_PORT, SPECIFIC_EOI | CASCADE);
    assert_eq!(taken(&mut pic), [0x33]);
}

#[test]
fn a_mask_holds_an_edge_back() {
    let mut pic = initialised();
    pic.write(MASTER_DATA, 1 << 4);
    edge(&mut pic, 4);
    assert!(!pic.output());
    pic.write(MASTER_DATA, 0);
    assert_eq!(taken(&mut pic), [0x34]);
    pic.write(MASTER_DATA, 1 << CASCADE);
    edge(&mut pic, 8);
    assert!(!pic.output());
}

/// As Linux's `probe_8259A` does it, with everything of the second masked.
#[test]
fn the_mask_is_read_back() {
    let mut pic = Pic::new();
    pic.write(SLAVE_DATA, 0xFF);
    pic.write(MASTER_DATA, 0xFB);
    assert_eq!(pic.read(MASTER_DATA), 0xFB);
    assert_eq!(pic.read(SLAVE_DATA), 0xFF);
}

#[test]
fn a_request_that_went_is_a_spurious_line_7() {
    let mut pic = initialised();
    assert_eq!(pic.acknowledge(), 0x37);
    assert_eq!(register(&mut pic, PIC_MASTER_PORT, READ_ISR), 0);
}

/// So that line 7 of the second is never spurious: it is not asked then.
#[test]
fn the_first_follows_the_output_of_the_second() {
    let mut pic = initialised();
    edge(&mut pic, 8);
    assert!(pic.output());
    pic.write(SLAVE_DATA, 0xFF);
    assert!(!pic.output());
    assert_eq!(pic.acknowledge(), 0x37);
}

#[test]
fn initialisation_forgets_edges_masks_and_service() {
    let mut pic = initialised();
    edge(&mut pic, 3);
    assert_eq!(taken(&mut pic), [0x33]);
    edge(&mut pic, 4);
    pic.write(MASTER_DATA, 0xFF);
    pic.write(PIC_MASTER_PORT, 0x11);
    for value in [0x40, 4, 1] {
        pic.write(MASTER_DATA, value);
    }
    assert_eq!(pic.read(MASTER_DATA), 0);
    assert_eq!(pic.read(PIC_MASTER_PORT), 0);
    assert_eq!(register(&mut pic, PIC_MASTER_PORT, READ_ISR), 0);
    edge(&mut pic, 4);
    assert_eq!(taken(&mut pic), [0x44]);
}

#[test]
fn initialisation_asks_for_icw3_and_icw4_only_where_icw1_says_so() {
    for (icw1, words) in [(0x10, 1), (0x11, 2), (0x12, 0), (0x13, 1)] {
        let mut pic = Pic::new();
        pic.write(PIC_MASTER_PORT, icw1);
        for value in std::iter::once(0x50).chain(std::iter::repeat_n(0, words)) {
            pic.write(MASTER_DATA, value);
            assert_eq!(pic.read(MASTER_DATA), 0, "{icw1:#x}");
        }
        pic.write(MASTER_DATA, 0xA5);
        assert_eq!(pic.read(MASTER_DATA), 0xA5, "{icw1:#x}");
    }
}

#[test]
fn automatic_eoi_leaves_nothing_in_service() {
    let mut pic = initialised_with(0x03);
    for line in [3, 8, 9, 1] {
        edge(&mut pic, line);
    }
    assert_eq!(taken(&mut pic), [0x31, 0x38, 0x39, 0x33]);
    assert_eq!(register(&mut pic, PIC_MASTER_PORT, READ_ISR), 0);
}

#[test]
fn priorities_rotate() {
    let mut pic = initialised();
    // Set priority: 4 is the lowest, 5 the highest.
    pic.write(PIC_MASTER_PORT, 0xC0 | 4);
    edge(&mut pic, 0);
    edge(&mut pic, 5);
    assert_eq!(taken(&mut pic), [0x35]);
    // Rotate on EOI: 5 becomes the lowest.
    pic.write(PIC_MASTER_PORT, 0xA0);
    edge(&mut pic, 5);
    assert_eq!(taken(&mut pic), [0x30]);
    pic.write(PIC_MASTER_PORT, EOI);
    assert_eq!(taken(&mut pic), [0x35]);
}

#[test]
fn the_special_mask_lets_lower_lines_through() {
    let mut pic = initialised();
    edge(&mut pic, 3);
    assert_eq!(taken(&mut pic), [0x33]);
    edge(&mut pic, 5);
    pic.write(PIC_MASTER_PORT, SPECIAL_MASK);
    assert!(!pic.output());
    pic.write(MASTER_DATA, 1 << 3);
    assert_eq!(taken(&mut pic), [0x35]);
    pic.write(PIC_MASTER_PORT, EOI);
    assert_eq!(register(&mut pic, PIC_MASTER_PORT, READ_ISR), 1 << 3);
}

#[test]
fn a_poll_acknowledges() {
    let mut pic = initialised();
    assert_eq!(register(&mut pic, PIC_MASTER_PORT, POLL), 0);
    edge(&mut pic, 6);
    assert_eq!(register(&mut pic, PIC_MASTER_PORT, POLL), 0x86);
    assert!(!pic.output());
    assert_eq!(register(&mut pic, PIC_MASTER_PORT, READ_ISR), 1 << 6);
    edge(&mut pic, 9);
    assert_eq!(register(&mut pic, PIC_SLAVE_PORT, POLL), 0x81);
    assert!(!pic.output());
}

#[test]
fn lines_that_do_not_exist_do_nothing() {
    let mut pic = initialised();
    for line in [CASCADE, 16, 255] {
        edge(&mut pic, line);
    }
    assert!(!pic.output());
}

#[test]
fn no_byte_in_any_port_upsets_it() {
    let mut pic = initialised();
    let mut state = 1_u32;
    for _ in 0..20_000 {
        state = state.wrapping_mul(0x0019_660D).wrapping_add(0x3C6E_F35F);
        let [_, line, value, pick] = state.to_le_bytes();
        let port = match pick % 6 {
            0 => PIC_MASTER_PORT,
            1 => MASTER_DATA,
            2 => PIC_SLAVE_PORT,
            3 => SLAVE_DATA,
            4 => ELCR_PORT,
            _ => SLAVE_ELCR,
        };
        pic.write(port, value);
        edge(&mut pic, line & 15);
        pic.read(port);
        if pic.output() {
            pic.acknowledge();
        }
    }
}
