//! SubscribeReadings: changes in the order of the store, and the captures of each.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use dlms::obis::ObisCode;
use dlms_proto::v1::{SubscribeReadingsRequest, SubscribeReadingsResponse};
use jiff::SignedDuration;
use tokio::{sync::watch, time::timeout};
use tonic::Status;

use super::Walk;
use crate::{
    api::{
        ApiCounts,
        capture::{self, CHUNK},
        counts::Follower,
        parse::{self, Violations},
        status,
    },
    head_end::HeadEnd,
    meter::MeterId,
    operation::MeterAccess,
    store::{CaptureFilter, CaptureQuery, Change, Store},
};

/// Changes that are looked up at once.
const CHANGES: usize = 256;
/// How long a subscriber hears nothing.
const SILENCE: Duration = Duration::from_secs(30);

/// One subscriber's place in the order of changes.
pub(super) struct Subscription<S, A> {
    head_end: HeadEnd<S, A>,
    meters: HashSet<MeterId>,
    profile: Option<ObisCode>,
    newest: watch::Receiver<u64>,
    /// The last change that was dealt with.
    position: u64,
    waiting: VecDeque<Change>,
    /// The change whose captures are being sent.
    present: Option<(Change, Walk<S, A>)>,
    follower: Follower,
}

impl<S: Store, A: MeterAccess> Subscription<S, A> {
    pub(super) fn new(
        head_end: HeadEnd<S, A>,
        counts: &Arc<ApiCounts>,
        request: &SubscribeReadingsRequest,
    ) -> Result<Self, Status> {
        let mut newest = head_end.registry().store().newest_change();
        let held = *newest.borrow_and_update();
        let mut violations = Violations::default();
        let position = match request.resume_token.as_str() {
            "" => Some(held),
            token => violations.check("resume_token", token.parse::<u64>().map_err(|_| "was not given out")),
        };
        if request.meters.len() > 1_000 {
            violations.add("meters", "at most 1000");
        }
        let meters = request.meters.iter().take(1_000).enumerate();
        let meters: Option<HashSet<MeterId>> =
            meters.map(|(n, meter)| violations.check(format!("meters[{n}]"), parse::meter_name(meter))).collect();
        let profile = match request.profile.as_str() {
            "" => Some(None),
            text => violations.check("profile", parse::obis(text)).map(Some),
        };
        let parsed = (|| Some((position?, meters?, profile?)))();
        let (position, meters, profile) = violations.finish(parsed)?;
        if position > held {
            return Err(Status::out_of_range(format!(
                "the token is at change {position}, and this store has {held}; begin with 0 or with an empty token"
            )));
        }
        let (waiting, follower) = (VecDeque::new(), counts.follow(position));
        Ok(Self { head_end, meters, profile, newest, position, waiting, present: None, follower })
    }

    /// The next message, as soon as there is one.
    pub(super) async fn part(&mut self) -> Result<SubscribeReadingsResponse, Status> {
        loop {
            if let Some(part) = self.captures().await? {
                return Ok(part);
            }
            if let Some(change) = self.waiting.pop_front() {
                self.begin(change);
                continue;
            }
            let store = self.head_end.registry().store();
            let changes = store.changes(self.position, CHANGES).await.map_err(|error| status::store(&error, None))?;
            self.waiting.extend(changes);
            if self.waiting.is_empty() {
                match timeout(SILENCE, self.newest.changed()).await {
                    Ok(Ok(())) => {}
                    // The store is closed: there will be nothing more.
                    Ok(Err(_)) => return Err(Status::unavailable("the head-end is shutting down")),
                    Err(_) => return Ok(self.message(Vec::new())),
                }
            }
        }
    }

    /// The next captures of the present change; none once it is dealt with.
    async fn captures(&mut self) -> Result<Option<SubscribeReadingsResponse>, Status> {
        let Some((change, walk)) = &mut self.present else { return Ok(None) };
        let captures = walk.captures().await?;
        if walk.ended || captures.is_empty() {
            self.position = change.sequence;
            self.follower.at(self.position);
            self.present = None;
        }
        let captures: Vec<_> = captures.iter().map(capture::stored).collect();
        Ok((!captures.is_empty()).then(|| self.message(captures)))
    }

    fn begin(&mut self, change: Change) {
        let wanted = (self.meters.is_empty() || self.meters.contains(&change.meter))
            && self.profile.is_none_or(|profile| change.profile == Some(profile));
        if !wanted {
            self.position = change.sequence;
            self.follower.at(self.position);
            return;
        }
        let query = CaptureQuery {
            meter: change.meter.clone(),
            filter: change.profile.map_or(CaptureFilter::Registers, CaptureFilter::Profile),
            from: change.first,
            to: change.last.saturating_add(SignedDuration::from_millis(1)).unwrap_or(change.last),
            all_revisions: false,
            after: None,
            limit: CHUNK,
        };
        self.present = Some((change, Walk::new(self.head_end.clone(), query, Vec::new(), u64::MAX)));
    }

    fn message(&self, captures: Vec<dlms_proto::v1::Capture>) -> SubscribeReadingsResponse {
        SubscribeReadingsResponse { captures, resume_token: self.position.to_string() }
    }
}
