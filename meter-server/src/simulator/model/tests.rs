//! The built-in model, and what is said about broken ones.

use dlms::apdu::{AttributeDescriptor, MemberDescriptor, MethodDescriptor};
use dlms::cosem::short_name::NamedObject;
use dlms::id::{AttributeId, MethodId, ShortName};

use super::*;

/// The built-in file with one text replaced by another.
fn changed(from: &str, to: &str) -> ModelError {
    assert!(DEFAULT_MODEL.contains(from), "{from}");
    Model::from_toml(&DEFAULT_MODEL.replacen(from, to, 1)).expect_err(to)
}

/// The line of the built-in file that contains `text` first.
fn line_of(text: &str) -> Option<usize> {
    DEFAULT_MODEL.lines().position(|line| line.contains(text)).map(|line| line + 1)
}

#[test]
fn the_built_in_model_is_whole() {
    let model = Model::built_in();
    assert!(model.object_count() > 150);
    assert_eq!(model.clients().count(), 3);
    for index in 0..model.object_count() {
        let object = model.object(index).unwrap();
        assert_eq!(model.find(object.class(), object.instance()), Some(index));
    }
}

#[test]
fn the_meter_with_short_names_is_whole() {
    let model = Model::from_toml(SHORT_NAME_MODEL).unwrap();
    for index in 0..model.object_count() {
        let object = model.object(index).unwrap();
        let base = model.base(index).unwrap();
        let named = NamedObject::new(base, object.class(), object.version(), object.instance());
        for attribute in (1..=object.attributes()).map(AttributeId) {
            let descriptor = AttributeDescriptor::new(object.class(), object.instance(), attribute);
            let name = named.attribute(attribute).unwrap();
            assert_eq!(model.named(name), Some(MemberDescriptor::Attribute(descriptor)), "{name}");
        }
    }
    // The last register of the family, and its reset.
    let last = ObisCode::new(1, 0, 2, 8, 2, 255);
    assert_eq!(model.find(ClassId(3), last).and_then(|index| model.base(index)), Some(ShortName(0x2CF0)));
    let reset = MethodDescriptor::new(ClassId(3), last, MethodId(1));
    assert_eq!(model.named(ShortName(0x2D18)), Some(MemberDescriptor::Method(reset)));
    assert_eq!([0x0000, 0x2C09, 0x2C18, 0x8000, 0xFFF8].map(|name| model.named(ShortName(name))), [None; 5]);
}

#[test]
fn misplaced_base_names_are_told() {
    let cases = [
        ("base-name = 0x3000", "base-name = 0x3004", "not a multiple of 8"),
        ("base-name = 0x3000", "base-name = 0x2C10", "overlap with those of the object at 2C30"),
        ("base-name = 0x2B00", "base-name = 0x2BF8", "overlap with those of the object at 2BF8"),
        ("base-name = 0x3000", "base-name = 0xFB00", "reserved"),
        ("base-name = 0xFD00", "base-name = 0x0200", "its base name is FD00"),
        ("class = 12", "class = 12\nversion = 5", "versions from 0 to 4"),
    ];
    for (from, to, message) in cases {
        let error = Model::from_toml(&SHORT_NAME_MODEL.replacen(from, to, 1)).expect_err(to);
        assert!(error.to_string().contains(message), "{error}");
    }
}

#[test]
fn an_installation_has_a_kind_or_hours() {
    let error = |text: &str, from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        Model::from_toml(&text.replacen(from, to, 1)).expect_err(to).to_string()
    };
    let cases = [
        (SHORT_NAME_MODEL, "irregularity = 0.5", "irregularity = 0.8", "below 1 together"),
        (SHORT_NAME_MODEL, "generation-share = 0.6", "generation-share = 0.6\nlatitude = 20.0", "kind of customer"),
        (SHORT_NAME_MODEL, "generation-share = 0.6", "generation-share = 0.6\nkind = \"household\"", "without import"),
        (DEFAULT_MODEL, "kind = \"household\"\n", "", "belongs to a kind of customer"),
        (
            DEFAULT_MODEL,
            "kind = \"household\"\nkwh-per-year = 3800.0\ngeneration-peak-kw = 8.0\n",
            "",
            "has a kind, or",
        ),
    ];
    for (text, from, to, expected) in cases {
        let error = error(text, from, to);
        assert!(error.contains(expected), "{to}: {error}");
    }
    for kind in ["commercial", "industrial"] {
        Model::from_toml(&DEFAULT_MODEL.replacen("\"household\"", &format!("\"{kind}\""), 1)).unwrap();
    }
}

#[test]
fn mistakes_are_told_with_their_line() {
    let cases = [
        ("daylight-deviation = 60", "daylight-deviatoin = 60", "unknown field `daylight-deviatoin`"),
        ("time-zone = -60", "time-zone = -900", "at most 840 minutes"),
        ("device-type = \"3PH\"", "device-type = \"3-PH\"", "three capitals or digits"),
        ("generation-share = 0.6", "generation-share = 1.6", "from 0 to 1"),
        ("kind = \"household\"", "kind = \"castle\"", "unknown variant `castle`"),
        ("kwh-per-year = 3800.0", "kwh-per-year = -1.0", "is from 0 to 3600000"),
        ("generation-peak-kw = 8.0", "latitude = 90.0", "is from -66 to 66"),
        ("policy = \"authenticated-encrypted\"", "policy = \"strong\"", "unknown variant `strong`"),
        ("\"get\", \"selective-access\"", "\"fetch\", \"selective-access\"", "`fetch` is not a conformance bit"),
        ("m1,m2,m3,m4,m5,m6:Xae", "m1,m2,m3:Rae", "is not made of R and W"),
        ("obis = \"0.0.42.0.0\"", "obis = \"0.0.42.0\"", "five or six groups"),
        ("\"8:0.0.1.0.0:2\", \"1:0.0.96.10.1:2\"", "\"8:0.0.1.0.0\", \"1:0.0.96.10.1:2\"", "not CLASS:OBIS:ATTRIBUTE"),
    ];
    for (from, to, expected) in cases {
        let error = changed(from, to);
        assert!(error.message.contains(expected), "{to}: {error}");
        assert_eq!(error.line(), line_of(from), "{error}");
        assert!(error.to_string().starts_with("line "), "{error}");
    }
}

#[test]
fn mistakes_of_an_object_are_told_with_its_entry_and_code() {
    let cases = [
        ("value = \"logical-device-name\"", "", "either value or initial"),
        ("value = \"logical-device-name\"", "value = \"energy\"", "value group C names no energy"),
        ("initial = 60\ntype = \"unsigned\"", "initial = 60", "a number needs a type"),
        ("unit = \"s\"\n", "", "the unit does not follow from the code"),
        ("control-mode = 4", "control-mode = 8", "from 0 to 6"),
        ("control-mode = 4", "control-mode = 4\nscaler = 1", "`scaler` has no meaning in class 70"),
        ("obis = \"0.0.96.1.1\"", "obis = \"0.0.96.1.0\"", "comes twice"),
        ("obis = \"0.0.43.0.0\"", "obis = \"0.0.43.0.3\"", "there is no security setup 3"),
        ("period = 900", "period = 0", "this value needs a period"),
        ("rows = \"periodic\"\nperiod = 900", "rows = \"periodic\"\nperiod = 0", "from 1 to 86400"),
        ("initial = 60\n", "initial = 60\nperiod = 60\n", "`period` has no meaning in class 3"),
        ("rows = \"events\"\n", "", "a profile needs rows"),
    ];
    for (from, to, expected) in cases {
        let error = changed(from, to);
        assert!(error.line().is_some() && error.message.contains(expected), "{to}: {error}");
    }
    let error = changed("access = \"switch\"", "access = \"swich\"");
    assert_eq!(
        (error.line(), error.message.as_str()),
        (line_of("access = \"switch\""), "there is no access set `swich`")
    );
    let error = changed("3:1.0.4.8.0:2", "3:1.0.99.8.0:2");
    assert_eq!(error.line(), line_of("3:1.0.4.8.0:2"));
    assert!(error.message.ends_with("there is no such object"), "{error}");
    let error = changed("3:1.0.4.8.0:2", "3:1.0.4.8.0:4");
    assert!(error.message.ends_with("the class has no such attribute"), "{error}");
}

#[test]
fn associations_need_what_their_mechanism_needs() {
    assert!(changed("security-setup = 0\n", "").message.contains("hls-gmac needs a security setup"));
    assert!(changed("security-setup = 0\n", "security-setup = 5\n").message.contains("no security setup 5"));
    assert!(changed("client = 17", "client = 16").message.contains("described twice"));
    assert!(changed("client = 17", "client = 200").message.contains("not from 1 to 127"));
    assert!(changed("max-pdu = 1024", "max-pdu = 20").message.contains("max-pdu is from 128"));
    assert!(changed("management = \"2:R\"", "manager = \"2:R\"").message.contains("no association `manager`"));
}

#[test]
fn all_models_of_the_program_are_whole_and_explained() {
    for built_in in MODELS {
        let model = built_in.model().unwrap_or_else(|error| panic!("{}", error.in_file(built_in.name)));
        assert!(!model.name().is_empty() && model.about().len() > 60, "{}: {}", built_in.name, model.about());
        assert_eq!(BuiltInModel::find(built_in.name), Some(built_in));
        for index in 0..model.object_count() {
            let object = model.object(index).unwrap();
            let at = (object.class(), object.version(), object.instance());
            assert_eq!(model.find(object.class(), object.instance()), Some(index), "{at:?}");
            // An object that nobody may read is a slip.
            assert!(model.clients().any(|(_, client)| model.rights(index, client).any()), "{at:?}");
        }
    }
    assert_eq!(MODELS.first().map(|model| model.text), Some(DEFAULT_MODEL));
}

#[test]
fn attributes_are_checked_against_the_class() {
    let cases = [
        (
            "IP_address = \"ip(",
            "IP_adress = \"ip(",
            "class 42 (IPv4 setup, version 0) has no attribute `IP_adress`; it has DL_r",
        ),
        (
            "IP_address = \"ip(192.0.2.10)\"",
            "",
            "attribute 3 (`IP_address`, double-long-unsigned) of class 42 is missing",
        ),
        (
            "IP_address = \"ip(192.0.2.10)\"",
            "IP_address = \"unsigned(1)\"",
            "expected double-long-unsigned, found unsigned",
        ),
        (
            "IP_address = \"ip(192.0.2.10)\"",
            "IP_address = -1",
            "-1 alone does not tell the type; the class says double",
        ),
        ("IP_address = \"ip(192.0.2.10)\"", "IP_address = [1]", "expected a number, true, false, or a text"),
        ("IP_address = \"ip(192.0.2.10)\"", "IP_address = 1\n3 = 1", "attribute 3 comes twice"),
        ("use_DHCP_flag = false", "use_DHCP_flag = 0", "0 alone does not tell the type"),
        ("MSS = 576", "MSS = true", "expected long-unsigned, found boolean"),
        ("MSS = 576", "MSS = 65536", "65536 alone does not tell the type"),
        ("MSS = 576", "MSS = \"long-unsigned(576\"", "attribute 4 (`MSS`): `)` is expected"),
        (
            "accepts = [\"connect\"]",
            "accepts = [\"dial\"]",
            "class 29 (Auto connect, version 2) has no method `dial`; it has connect",
        ),
        ("class = 47\nversion = 1", "class = 47\nversion = 3", "class 47 (GSM diagnostic) has versions from 0 to 2"),
        ("class = 47\nversion = 1", "class = 47\nversion = 0", "`cell_info`"),
        ("class = 43\n", "class = 4300\n", "class 4300 is not known"),
        ("class = 43\n", "class = 64\n", "class 64 follows from the associations"),
        ("class = 43\n", "class = 43\nscaler = 1\n", "`scaler` has no meaning in class 43"),
        ("obis = \"0.0.41.0.0\"\nclass = 17", "obis = \"0.0.41.0.0\"\nclass = 43", "class 43 has no behaviour here"),
        ("obis = \"0.0.41.0.0\"\n", "obis = \"0.0.41.0.0\"\naccepts = []\n", "`accepts` has a meaning beside"),
        ("2-6:RWae 7-9:Wae", "2-9:RWae", "`management` may read attribute 7 (`pass_p1`), which has no value"),
    ];
    for (from, to, expected) in cases {
        let error = changed(from, to);
        assert!(error.line().is_some() && error.message.contains(expected), "{to}: {error}");
    }
    // The place is within the value, behind quotes.
    let error = changed("\"structure(unsigned(2), unsigned(8))\"", "\"structure(unsigned(2), unsigned(800))\"");
    let place = error.place.unwrap();
    assert_eq!(place.text, "number_of_rings = \"structure(unsigned(2), unsigned(800))\"");
    assert_eq!(place.text.get(place.column - 1..), Some("800))\""));
}

#[test]
fn rows_of_the_file_are_checked() {
    let india = BuiltInModel::find("india-single-phase").unwrap().text;
    let row = "\"structure(octet-string(2025-02-08T12:00:44), long-unsigned(251))\"";
    let cases = [
        (
            "2025-02-08T12:00:44), long-unsigned(251)",
            "2025-02-08T12:00:44)",
            "this row has 1 values, the profile 2 columns",
        ),
        (
            "\"structure(octet-string(2025-02-08T12:00:44), long-unsigned(251))\"",
            "\"unsigned(1)\"",
            "a row is a structure",
        ),
        ("octet-string(2025-02-08T12:00:44), long", "octet-string(00), long", "the clock's column is an octet-string"),
        ("2025-03-12T08:00:00", "2025-03-10T08:00:00", "rows stand in the order of their time"),
        ("long-unsigned(251)", "long-unsigned(x)", "`x` is no long-unsigned"),
        ("rows = \"current\"\ncapacity = 1\n", "rows = \"current\"\ncapacity = 2\n", "has a capacity of 1"),
        (
            "rows = \"current\"\ncapacity = 1\n",
            "rows = \"current\"\ncapacity = 1\nentries = []\n",
            "`entries` has no meaning",
        ),
        ("value = \"average\"\nperiod = 1800\n", "value = \"average\"\n", "this value needs a period"),
        (
            "\"1.0.{11,12}.27.0\"\nclass = 3",
            "\"1.0.{11,81}.27.0\"\nclass = 3\nunit = \"V\"",
            "value group C names no value to be averaged",
        ),
        ("single-phase = true", "single-phase = 1", "expected a boolean"),
    ];
    assert!(india.contains(row));
    for (from, to, expected) in cases {
        assert!(india.contains(from), "{from}");
        let error = Model::from_toml(&india.replacen(from, to, 1)).expect_err(to);
        assert!(error.line().is_some() && error.message.contains(expected), "{to}: {error}");
    }
}
