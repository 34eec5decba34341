//! Clocks, calendars, profiles, pushes and templates on simulated meters, over sockets.

use dlms::id::ServerSap;
use dlms_meter_server::simulator::{DefectKind, Fleet};
use dlms_proto::v1::{
    self, AttributeAssignment, AttributeRef, CalendarActivation, CalendarDay, CalendarDayAction, CalendarSeason,
    CalendarWeek, CapturedObject, ConfigurationDrift, ConfigurationTemplate, Instruction, JobResponse, Target, Task,
    configuration_client::ConfigurationClient, target, task_outcome::Kind, value,
};
use tonic::{Code, transport::Channel};

use crate::support::{Running, fields, managed, simulated, tcp};

fn target() -> Option<Target> {
    Some(Target { kind: Some(target::Kind::Meter("meters/m0".to_owned())) })
}

fn instruction() -> Option<Instruction> {
    let seconds = jiff::Timestamp::now().as_second() + 3_600;
    Some(Instruction { expires_at: Some(prost_types::Timestamp { seconds, nanos: 0 }), ..Instruction::default() })
}

fn seconds(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

struct Setup {
    running: Running,
    fleet: Fleet,
    _folder: tempfile::TempDir,
}

impl Setup {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let fleet = simulated(1).await;
        let running = Running::start(folder.path()).await;
        running.create(managed("m0", &tcp(&fleet, 0))).await.unwrap();
        Self { running, fleet, _folder: folder }
    }

    fn client(&self) -> ConfigurationClient<Channel> {
        ConfigurationClient::new(self.running.channel.clone())
    }

    async fn clock(&self, spec: v1::SynchronizeClockSpec) -> Task {
        let request = v1::SynchronizeClockRequest { target: target(), spec: Some(spec), instruction: instruction() };
        task(self.client().synchronize_clock(request).await)
    }

    fn put_off(&self, by: i32) {
        let device = &self.fleet.devices()[0];
        device.with(|device| device.suffer(ServerSap::MANAGEMENT, DefectKind::Clock(by))).unwrap();
    }
}

fn task(answer: Result<tonic::Response<JobResponse>, tonic::Status>) -> Task {
    answer.unwrap().into_inner().task.unwrap()
}

fn deviations(task: &Task) -> (f64, f64, v1::ClockMethod) {
    assert_eq!(task.result(), v1::Result::Succeeded, "{task:?}");
    let Some(Kind::Clock(of)) = task.outcome.clone().unwrap().kind else { panic!("{task:?}") };
    let number =
        |of: Option<prost_types::Duration>| of.map(|of| of.seconds as f64 + f64::from(of.nanos) / 1e9).unwrap();
    (number(of.deviation_before), number(of.deviation_after), of.method())
}

#[tokio::test]
async fn a_clock_is_set_in_each_way_and_read_back_and_never_by_too_much() {
    let setup = Setup::new().await;
    for (off, method, expected) in [
        (-100, v1::ClockMethod::Unspecified, v1::ClockMethod::Shift),
        (70, v1::ClockMethod::Set, v1::ClockMethod::Set),
        (-40, v1::ClockMethod::Preset, v1::ClockMethod::Preset),
    ] {
        setup.put_off(off);
        let spec = v1::SynchronizeClockSpec { method: method.into(), ..Default::default() };
        let (before, after, used) = deviations(&setup.clock(spec).await);
        assert!((before - f64::from(off)).abs() < 6.0, "{off}: {before}");
        assert!(after.abs() <= 3.0, "{off}: {after}");
        assert_eq!(used, expected);
    }
    let (_, _, used) = deviations(&setup.clock(v1::SynchronizeClockSpec::default()).await);
    assert_eq!(used, v1::ClockMethod::Unspecified, "it is good enough now");

    setup.put_off(3_600);
    let refused = setup.clock(v1::SynchronizeClockSpec::default()).await;
    assert_eq!(refused.result(), v1::Result::MeterRefused);
    assert!(refused.failure.clone().unwrap().message.contains("more than the 900 s"), "{refused:?}");
    let spec = v1::SynchronizeClockSpec { max_step: seconds(7_200), ..Default::default() };
    let (before, after, used) = deviations(&setup.clock(spec).await);
    assert!((before - 3_600.0).abs() < 10.0 && after.abs() <= 3.0 && used == v1::ClockMethod::Set, "{before} {after}");
    setup.running.stop().await;
}

fn calendar() -> v1::SetActivityCalendarSpec {
    let action = |time: &str, script| CalendarDayAction { time: time.to_owned(), script, ..Default::default() };
    v1::SetActivityCalendarSpec {
        name: b"SUMMER".to_vec(),
        seasons: vec![CalendarSeason {
            name: b"ALL".to_vec(),
            start_date: "*-01-01".to_owned(),
            week: b"WEEK".to_vec(),
            ..Default::default()
        }],
        weeks: vec![CalendarWeek { name: b"WEEK".to_vec(), days: vec![1, 1, 1, 1, 1, 2, 2] }],
        days: vec![
            CalendarDay { id: 1, actions: vec![action("00:00", 2), action("06:00", 1), action("22:30:00", 2)] },
            CalendarDay { id: 2, actions: vec![action("00:00", 2)] },
        ],
        activation: CalendarActivation::Now.into(),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_calendar_and_special_days_are_written_put_in_force_and_read_back() {
    let setup = Setup::new().await;
    let set = async |spec| {
        let request = v1::SetActivityCalendarRequest { target: target(), spec: Some(spec), instruction: instruction() };
        setup.client().set_activity_calendar(request).await
    };
    let done = task(set(calendar()).await);
    assert_eq!(done.result(), v1::Result::Succeeded, "{done:?}");
    let Some(Kind::Attributes(of)) = done.outcome.clone().unwrap().kind else { panic!("{done:?}") };
    let name = of.results[0].clone();
    assert_eq!(
        (name.attribute.unwrap().attribute, name.value.unwrap().kind),
        (2, Some(value::Kind::OctetString(b"SUMMER".to_vec())))
    );

    let later = v1::SetActivityCalendarSpec {
        name: b"WINTER".to_vec(),
        activation: CalendarActivation::At.into(),
        activate_time: Some(prost_types::Timestamp { seconds: 1_900_000_000, nanos: 0 }),
        ..calendar()
    };
    let done = task(set(later).await);
    let Some(Kind::Attributes(of)) = done.outcome.clone().unwrap().kind else { panic!("{done:?}") };
    let attributes: Vec<_> = of.results.iter().map(|of| of.attribute.clone().unwrap().attribute).collect();
    assert_eq!(attributes, [6, 7, 8, 9, 10]);
    let mut wrong = calendar();
    wrong.weeks[0].days[3] = 9;
    assert_eq!(fields(&set(wrong).await.unwrap_err()), ["spec"]);

    let day = |index, date: &str| v1::SpecialDay { index, date: date.to_owned(), day_id: 2 };
    let spec = v1::SetSpecialDaysSpec { days: vec![day(1, "*-12-25"), day(2, "2027-03-29")], ..Default::default() };
    let request = v1::SetSpecialDaysRequest { target: target(), spec: Some(spec), instruction: instruction() };
    let done = task(setup.client().set_special_days(request).await);
    assert_eq!(done.result(), v1::Result::Succeeded, "{done:?}");
    setup.running.stop().await;
}

#[tokio::test]
async fn the_rows_of_a_profile_are_kept_before_a_new_period_clears_them() {
    let setup = Setup::new().await;
    let column = |class_id, obis: &str| CapturedObject { class_id, obis: obis.to_owned(), attribute: 2, data_index: 0 };
    let spec = v1::ConfigureLoadProfileSpec {
        profile: "1-0:99.2.0".to_owned(),
        capture_period: seconds(1_800),
        capture_objects: vec![column(8, "0-0:1.0.0"), column(3, "1-0:1.8.0")],
        ..Default::default()
    };
    let request = v1::ConfigureLoadProfileRequest { target: target(), spec: Some(spec), instruction: instruction() };
    let done = task(setup.client().configure_load_profile(request.clone()).await);
    assert_eq!(done.result(), v1::Result::Succeeded, "{done:?}");
    let query = v1::QueryReadingsRequest {
        meter: "meters/m0".to_owned(),
        profile: "1-0:99.2.0".to_owned(),
        ..Default::default()
    };
    let mut pages = setup.running.data().query_readings(query).await.unwrap().into_inner();
    let kept = pages.message().await.unwrap().expect("rows were kept");
    assert!(!kept.captures.is_empty());
    let again = task(setup.client().configure_load_profile(request).await);
    assert_eq!(again.result(), v1::Result::Succeeded, "what is as wanted is left: {again:?}");
    setup.running.stop().await;
}

#[tokio::test]
async fn a_push_goes_where_it_is_sent_and_keeps_what_is_not_named() {
    let setup = Setup::new().await;
    let destination = v1::PushDestination { transport: 0, address: b"203.0.113.7:4059".to_vec(), message_type: 0 };
    let spec = v1::ConfigurePushSpec {
        destination: Some(destination),
        retries: Some(5),
        repetition_delay: seconds(90),
        ..Default::default()
    };
    let request = v1::ConfigurePushRequest { target: target(), spec: Some(spec), instruction: instruction() };
    let done = task(setup.client().configure_push(request).await);
    assert_eq!(done.result(), v1::Result::Succeeded, "{done:?}");
    let nothing = v1::ConfigurePushRequest { target: target(), spec: None, instruction: instruction() };
    assert_eq!(fields(&setup.client().configure_push(nothing).await.unwrap_err()), ["spec"]);
    setup.running.stop().await;
}

fn template(zone: i32) -> Option<ConfigurationTemplate> {
    let attribute = |class_id, obis: &str, attribute, kind| AttributeAssignment {
        attribute: Some(AttributeRef { class_id, obis: obis.to_owned(), attribute }),
        selection: None,
        value: Some(v1::Value { kind: Some(kind) }),
    };
    let attributes = vec![
        attribute(8, "0-0:1.0.0", 3, value::Kind::Long(zone)),
        attribute(40, "0-0:25.9.0", 6, value::Kind::Unsigned(4)),
    ];
    Some(ConfigurationTemplate { name: "central-europe".to_owned(), attributes })
}

#[tokio::test]
async fn drift_from_a_template_is_reported_until_the_template_is_applied() {
    let setup = Setup::new().await;
    let verify = async |template| -> ConfigurationDrift {
        let spec = Some(v1::VerifyConfigurationSpec { template, stored: String::new() });
        let request = v1::VerifyConfigurationRequest { target: target(), spec, instruction: None };
        let task = task(setup.client().verify_configuration(request).await);
        assert_eq!(task.result(), v1::Result::Succeeded, "{task:?}");
        match task.outcome.unwrap().kind {
            Some(Kind::Drift(drift)) => drift,
            other => panic!("{other:?}"),
        }
    };
    let drift = verify(template(-60)).await;
    assert_eq!((drift.template.as_str(), drift.checked), ("central-europe", 2));
    let [difference] = &drift.differences[..] else { panic!("{drift:?}") };
    let attribute = difference.attribute.clone().unwrap();
    assert_eq!((attribute.class_id, attribute.attribute), (40, 6));
    let kinds = (difference.expected.clone().unwrap().kind, difference.found.clone().unwrap().kind);
    assert_eq!(kinds, (Some(value::Kind::Unsigned(4)), Some(value::Kind::Unsigned(3))));

    let spec = Some(v1::ApplyTemplateSpec { template: template(-60), stored: String::new() });
    let request = v1::ApplyTemplateRequest { target: target(), spec, instruction: instruction() };
    let done = task(setup.client().apply_template(request).await);
    assert_eq!(done.result(), v1::Result::Succeeded, "{done:?}");
    assert_eq!(verify(template(-60)).await.differences, []);

    let mut unknown = template(-60);
    unknown.as_mut().unwrap().attributes[1].attribute.as_mut().unwrap().obis = "0-9:25.9.0".to_owned();
    let drift = verify(unknown).await;
    assert!(drift.differences[0].refusal.contains("object-undefined"), "{drift:?}");
    setup.running.stop().await;
}

#[tokio::test]
async fn templates_are_kept_by_revision_applied_by_name_and_verified_against() {
    let setup = Setup::new().await;
    let create = async |id: &str, template, revision| {
        let request = v1::CreateTemplateRequest { template_id: id.to_owned(), template, revision };
        setup.client().create_template(request).await.map(tonic::Response::into_inner)
    };
    let first = create("clock", template(-60), 0).await.unwrap();
    assert_eq!(
        (first.name.as_str(), first.revision, &first.template),
        ("templates/clock/revisions/1", 1, &template(-60))
    );
    assert_eq!(create("clock", template(-120), 2).await.unwrap().revision, 2);
    assert_eq!(create("clock", template(-120), 2).await.unwrap().revision, 2, "a repetition");
    assert_eq!(create("clock", template(-180), 2).await.unwrap_err().code(), Code::Aborted, "it never changes");
    assert_eq!(create("clock", template(-180), 9).await.unwrap_err().code(), Code::Aborted);
    create("another", template(0), 0).await.unwrap();

    let get = async |name: &str| {
        let request = v1::GetTemplateRequest { name: name.to_owned() };
        setup.client().get_template(request).await.map(|answer| answer.into_inner().template)
    };
    assert_eq!(get("templates/clock").await.unwrap(), template(-120), "the newest");
    assert_eq!(get("templates/clock/revisions/1").await.unwrap(), template(-60));
    assert_eq!(get("templates/clock/revisions/3").await.unwrap_err().code(), Code::NotFound);
    assert_eq!(fields(&get("clock").await.unwrap_err()), ["name"]);
    let list = async |page_size, token: &str| {
        let request = v1::ListTemplatesRequest { page_size, page_token: token.to_owned() };
        let page = setup.client().list_templates(request).await.unwrap().into_inner();
        let names = page.templates.into_iter().map(|of| of.name).collect::<Vec<_>>();
        (names, page.next_page_token)
    };
    let (names, token) = list(1, "").await;
    assert_eq!(names, ["templates/another/revisions/1"]);
    assert_eq!(list(1, &token).await, (vec!["templates/clock/revisions/2".to_owned()], String::new()));

    let verify = async |stored: &str| {
        let spec = Some(v1::VerifyConfigurationSpec { template: None, stored: stored.to_owned() });
        let request = v1::VerifyConfigurationRequest { target: target(), spec, instruction: None };
        let task = task(setup.client().verify_configuration(request).await);
        match task.outcome.unwrap().kind {
            Some(Kind::Drift(drift)) => (drift.template, drift.differences.len()),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(verify("templates/clock").await, ("templates/clock/revisions/2".to_owned(), 2));
    let apply = async |template, stored: &str| {
        let spec = Some(v1::ApplyTemplateSpec { template, stored: stored.to_owned() });
        let request = v1::ApplyTemplateRequest { target: target(), spec, instruction: instruction() };
        setup.client().apply_template(request).await
    };
    let done = task(apply(None, "templates/clock").await);
    assert_eq!(done.result(), v1::Result::Succeeded, "{done:?}");
    assert_eq!(verify("templates/clock").await.1, 0);
    assert_eq!(verify("templates/clock/revisions/1").await, ("templates/clock/revisions/1".to_owned(), 1));

    // What is not there, both at once, and keys, which would lie in clear.
    assert_eq!(apply(None, "templates/none").await.unwrap_err().code(), Code::NotFound);
    assert_eq!(fields(&apply(template(0), "templates/clock").await.unwrap_err()), ["spec.stored"]);
    assert_eq!(fields(&apply(None, "").await.unwrap_err()), ["spec"]);
    let mut keys = template(0);
    keys.as_mut().unwrap().attributes[0].attribute =
        Some(AttributeRef { class_id: 64, obis: "0-0:43.0.0".to_owned(), attribute: 2 });
    assert_eq!(fields(&create("keys", keys, 0).await.unwrap_err()), ["template"]);
    assert_eq!(fields(&create("a/b", None, 0).await.unwrap_err()), ["template_id", "template"]);

    let delete = async |name: &str| {
        let request = v1::DeleteTemplateRequest { name: name.to_owned() };
        setup.client().delete_template(request).await.map(drop).map_err(|status| status.code())
    };
    assert_eq!(delete("templates/clock/revisions/1").await, Ok(()));
    assert_eq!(delete("templates/clock/revisions/1").await, Err(Code::NotFound));
    assert_eq!(delete("templates/clock").await, Ok(()));
    assert_eq!(get("templates/clock").await.unwrap_err().code(), Code::NotFound);
    setup.running.stop().await;
}
