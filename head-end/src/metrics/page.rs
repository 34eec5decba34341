//! Writing metrics in the words of the exposition format.

use std::fmt;

use prometheus_client::{
    encoding::{DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, MetricEncoder, NoLabelSet},
    metrics::MetricType,
};

use super::names::{Kind, Metric};
use crate::measure::Histogram;

/// Where metrics are written.
pub(super) struct Page<'a>(pub(super) DescriptorEncoder<'a>);

impl Page<'_> {
    /// A number without labels.
    pub(super) fn one(&mut self, metric: &Metric, value: impl Number) -> fmt::Result {
        value.write(metric.kind, &mut self.begin(metric)?)
    }

    /// A number for each value of the label.
    pub(super) fn by<N: Number>(
        &mut self,
        metric: &Metric,
        rows: impl IntoIterator<Item = (&'static str, N)>,
    ) -> fmt::Result {
        let mut encoder = self.begin(metric)?;
        let [label] = metric.labels else { return Err(fmt::Error) };
        for (value, number) in rows {
            number.write(metric.kind, &mut encoder.encode_family(&[(*label, value)])?)?;
        }
        Ok(())
    }

    /// A number for each pair of values of the labels.
    pub(super) fn by_two(
        &mut self,
        metric: &Metric,
        rows: impl IntoIterator<Item = (&'static str, &'static str, u64)>,
    ) -> fmt::Result {
        let mut encoder = self.begin(metric)?;
        let [first, second] = metric.labels else { return Err(fmt::Error) };
        for (one, other, number) in rows {
            number.write(metric.kind, &mut encoder.encode_family(&[(*first, one), (*second, other)])?)?;
        }
        Ok(())
    }

    /// A histogram without labels.
    pub(super) fn histogram(&mut self, metric: &Metric, histogram: &Histogram) -> fmt::Result {
        write_histogram(histogram, &mut self.begin(metric)?)
    }

    /// A histogram for each value of the label.
    pub(super) fn histograms<'h>(
        &mut self,
        metric: &Metric,
        rows: impl IntoIterator<Item = (&'static str, &'h Histogram)>,
    ) -> fmt::Result {
        let mut encoder = self.begin(metric)?;
        let [label] = metric.labels else { return Err(fmt::Error) };
        for (value, histogram) in rows {
            write_histogram(histogram, &mut encoder.encode_family(&[(*label, value)])?)?;
        }
        Ok(())
    }

    fn begin<'s>(&'s mut self, metric: &'s Metric) -> Result<MetricEncoder<'s>, fmt::Error> {
        let kind = match metric.kind {
            Kind::Counter => MetricType::Counter,
            Kind::Gauge => MetricType::Gauge,
            Kind::Histogram => MetricType::Histogram,
        };
        // The encoder puts a full stop behind the help.
        self.0.encode_descriptor(metric.name, metric.help, None, kind)
    }
}

/// What can be the value of a counter or gauge.
pub(super) trait Number {
    fn write(&self, kind: Kind, encoder: &mut MetricEncoder<'_>) -> fmt::Result;
}

impl<T: EncodeCounterValue + EncodeGaugeValue> Number for T {
    fn write(&self, kind: Kind, encoder: &mut MetricEncoder<'_>) -> fmt::Result {
        match kind {
            Kind::Counter => encoder.encode_counter::<NoLabelSet, _, u64>(self, None),
            Kind::Gauge => encoder.encode_gauge(self),
            Kind::Histogram => Err(fmt::Error),
        }
    }
}

fn write_histogram(histogram: &Histogram, encoder: &mut MetricEncoder<'_>) -> fmt::Result {
    let (sum, count, buckets) = histogram.read();
    encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
}
