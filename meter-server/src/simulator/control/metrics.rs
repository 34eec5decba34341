//! What a fleet counts, as Prometheus reads it.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text::encode};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use super::Control;

/// What the text is.
pub(super) const CONTENT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The numbers now.
pub(super) fn text(control: &Control) -> String {
    let mut registry = Registry::with_prefix("meter_server");
    registry.register_collector(Box::new(control.clone()));
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = encode(&mut text, &registry);
    text
}

impl Collector for Control {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let counts = self.shared.counts.snapshot();
        let mut counter = |name: &str, help: &str, unit: Option<&Unit>, value: u64| {
            let metric = ConstCounter::new(value);
            let described = encoder.encode_descriptor(name, help, unit, metric.metric_type())?;
            metric.encode(described)
        };
        let octets = Some(&Unit::Bytes);
        counter("connections_opened", "Connections accepted or dialled", None, counts.connections_opened)?;
        counter("connections_closed", "Connections that have ended", None, counts.connections_closed)?;
        counter("refused_destination", "Connections and datagrams for no meter", None, counts.refused_destination)?;
        counter("refused_full", "Connections beyond what a port takes", None, counts.refused_full)?;
        counter("refused_descriptors", "Connections without a descriptor", None, counts.refused_descriptors)?;
        counter("dial_failures", "Connections that meters tried to open in vain", None, counts.dial_failures)?;
        counter("received", "Octets received", octets, counts.received_octets)?;
        counter("sent", "Octets sent", octets, counts.sent_octets)?;
        counter("answers", "Frames or wrapped APDUs sent", None, counts.answers)?;
        counter("datagrams", "Datagrams received", None, counts.datagrams)?;
        counter("datagrams_dropped", "Datagrams that are no wrapped APDU", None, counts.datagrams_dropped)?;
        counter("clients_forgotten", "UDP clients forgotten for others", None, counts.clients_forgotten)?;
        counter("faults", "Faults on demand that happened", None, counts.faults)?;
        counter("meters_made", "Meters that take memory", None, counts.meters_made)?;
        let mut gauge = |name: &str, help: &str, unit: Option<&Unit>, value: f64| {
            let metric = ConstGauge::new(value);
            let described = encoder.encode_descriptor(name, help, unit, metric.metric_type())?;
            metric.encode(described)
        };
        let open = counts.connections_opened.saturating_sub(counts.connections_closed);
        gauge("connections_open", "Connections open now", None, open as f64)?;
        gauge("meters", "Meters of the fleet", None, f64::from(self.population.len()))?;
        let free = self.shared.descriptors.free();
        gauge("descriptors_free", "Connections that still fit into the descriptors", None, free as f64)?;
        let timeline = self.population.timeline();
        let now = timeline.now().as_millis() as f64 / 1_000.0;
        gauge("simulated_time", "Simulated time since 1970-01-01 UTC", Some(&Unit::Seconds), now)?;
        gauge("simulated_speed", "Simulated seconds in a second", None, timeline.speed())
    }
}
