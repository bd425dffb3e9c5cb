//! The two lines at the top: which VM, and all of it in one line.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;

use super::Scene;
use crate::control::About;
use crate::observe::report::ApicKind;
use crate::top::figure::{age, percent, rate};
use crate::top::keys::Controls;

/// What runs, in a few words.
pub(in crate::top) fn title(about: &About, vcpus: usize) -> String {
    let guest = match about.guest.as_str() {
        "" => "guest",
        guest => guest,
    };
    let apic = match about.apic {
        ApicKind::Userspace => "user-space APIC",
        ApicKind::Kernel => "KVM's APIC",
    };
    let mode = match about.apic_mode.as_str() {
        "both" => "xapic+x2apic",
        "guest" => "mode by guest",
        mode => mode,
    };
    let plural = if vcpus == 1 { "" } else { "s" };
    format!("{guest}, {vcpus} vCPU{plural}, {apic}, {mode}")
}

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, scene: &Scene<'_>, controls: &Controls) {
    let [first, second] =
        Layout::vertical([Constraint::Length(1), Constraint::Length(1)]).areas(area);
    let state = state(scene, controls);
    let width = u16::try_from(state.chars().count()).unwrap_or(u16::MAX);
    let [left, right] = Layout::horizontal([Constraint::Fill(1), Constraint::Length(width)])
        .spacing(1)
        .areas(first);
    let what = scene.about.map_or_else(
        || "vapic top".to_owned(),
        |(about, vcpus)| title(about, vcpus),
    );
    frame.render_widget(Line::styled(what, scene.theme.total()), left);
    let style = if scene.silent || controls.paused {
        scene.theme.notice()
    } else {
        scene.theme.header()
    };
    frame.render_widget(Line::styled(state, style), right);
    if let Some(rates) = scene.rates {
        let total = &rates.total;
        let text = if rates.ipis_observed {
            format!(
                "IPIs/s: {} sent, {} injected, {} coalesced, {} refused; guest {}%",
                rate(total.sent_per_s.all()),
                rate(total.injected_per_s.all()),
                rate(total.coalesced_per_s),
                rate(total.refused_per_s),
                percent(total.guest_share())
            )
        } else {
            let exits = rate(total.exits_per_s);
            format!("exits/s: {exits}; KVM's APIC shows neither IPIs nor sleep")
        };
        frame.render_widget(Line::raw(text), second);
    }
}

fn state(scene: &Scene<'_>, controls: &Controls) -> String {
    let age = scene
        .rates
        .map_or_else(String::new, |rates| format!("up {} ", age(rates.uptime_s)));
    let state = match (controls.paused, scene.silent) {
        (true, _) => "PAUSED".to_owned(),
        (false, true) => "NO ANSWER".to_owned(),
        (false, false) => format!("every {} s", controls.interval.as_secs_f64()),
    };
    age + &state
}
