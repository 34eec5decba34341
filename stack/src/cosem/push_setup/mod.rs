//! Class 40, Push setup: what a meter sends unasked, where to, and when.
//!
//! Version 3 has the attributes of version 2 as far as one implementation shows; nothing is known of what sets it apart.

mod body;
mod lists;
mod restriction;

pub use body::{Named, PushRow, PushRows};
pub use lists::{PushList, push_list, push_list_of};
pub use restriction::{Restriction, RestrictionType};

use super::{Array, Enumerated, Tagged, Zero};
use crate::cosem::common::Window;
use crate::cosem::profile_generic::CaptureObject;
use crate::id::{AttributeId, ClassId};
use crate::obis::ObisCode;

interface_class! {
    "Push setup" = 40, versions 0..=3, methods at 0x38;
    attributes {
        /// What is sent: one element of the body for each. The data index of a profile's buffer selects rows.
        2 PushObjectListV0 push_object_list_v0/set_push_object_list_v0 "push_object_list", static until 0:
            Array<'a, CaptureObject>;
        /// What is sent, with a restriction for each.
        2 PushObjectListV1 push_object_list_v1/set_push_object_list_v1 "push_object_list", static since 1 until 1:
            Array<'a, PushObjectV1<'a>>;
        /// What is sent, with a restriction and the columns of a profile for each.
        2 PushObjectList push_object_list/set_push_object_list, static since 2: Array<'a, PushObject<'a>>;
        /// Where to, and how.
        3 Destination send_destination_and_method/set_send_destination_and_method, static:
            SendDestinationAndMethod<'a>;
        /// When it may be sent; no window means always.
        4 CommunicationWindow communication_window/set_communication_window, static: Array<'a, Window>;
        /// Seconds up to which the start is put off at random.
        5 RandomisationStartInterval randomisation_start_interval/set_randomisation_start_interval, static: u16;
        /// How often sending is tried again.
        6 NumberOfRetries number_of_retries/set_number_of_retries, static: u8;
        /// Seconds between two attempts.
        7 RepetitionDelayV0 repetition_delay_v0/set_repetition_delay_v0 "repetition_delay", static until 1: u16;
        /// How the time between two attempts grows.
        7 RepetitionDelay repetition_delay/set_repetition_delay, static since 2: Delay;
        /// The port that is used.
        8 PortReference port_reference/set_port_reference, static since 1: ObisCode;
        /// Client service access point that the data is sent to; above 127 it looks negative.
        9 PushClientSap push_client_sap/set_push_client_sap "push_client_SAP", static since 1: i8;
        /// Layers of protection, the innermost first.
        10 PushProtectionParameters push_protection_parameters/set_push_protection_parameters, static since 1:
            Array<'a, ProtectionParameters<'a>>;
        /// What has to be confirmed.
        11 PushOperationMethod push_operation_method/set_push_operation_method, static since 2: OperationMethod;
        /// From when on what was not confirmed is looked for, and how often.
        12 ConfirmationParameters confirmation_parameters/set_confirmation_parameters, static since 2: Confirmation;
        /// When data was last confirmed.
        13 LastConfirmation last_confirmation_date_time, dynamic since 2: Tagged;
    }
    methods {
        /// Sends now.
        1 Push push: Zero;
        /// Forgets what is still to be sent.
        2 Reset reset since 2: Zero;
    }
}

structure! {
    /// An attribute to be sent, in version 1.
    PushObjectV1<'a> "structure of push object" {
        /// Interface class of the object.
        class_id: ClassId,
        /// Logical name of the object.
        instance: ObisCode,
        /// The attribute; 0 means all of them.
        attribute: AttributeId,
        /// 0 for the whole attribute, else an element of it, counted from 1.
        data_index: u16,
        /// Which part of a profile.
        restriction: Restriction<'a>,
    }
}

structure! {
    /// An attribute to be sent, from version 2 on.
    PushObject<'a> "structure of push object" {
        /// Interface class of the object.
        class_id: ClassId,
        /// Logical name of the object.
        instance: ObisCode,
        /// The attribute; 0 means all of them.
        attribute: AttributeId,
        /// 0 for the whole attribute, else an element of it, counted from 1.
        data_index: u16,
        /// Which rows of a profile.
        restriction: Restriction<'a>,
        /// Which columns of a profile; none means all.
        columns: Array<'a, CaptureObject>,
    }
}

structure! {
    /// Where data is sent to, and how.
    SendDestinationAndMethod<'a> "structure of destination and method" {
        /// The transport.
        service: TransportService,
        /// `host:port`, a telephone number or an e-mail address in ASCII; a binary address for HDLC and M-Bus.
        destination: &'a [u8],
        /// How the message is encoded.
        message: MessageType,
    }
}

structure! {
    /// Seconds to wait before attempt n+1: min × (exponent / 100)^n, at most max. The rule is not verified against the
    /// standard.
    Delay "structure of repetition delay" {
        /// Seconds before the first repetition.
        min: u16,
        /// Growth, in per cent: 100 keeps the delay as it is.
        exponent: u16,
        /// Seconds that are never exceeded.
        max: u16,
    }
}

impl Delay {
    /// Seconds to wait after `failures` attempts, at least one.
    #[must_use]
    pub fn seconds(self, failures: u8) -> u16 {
        let mut hundredths = u64::from(self.min).saturating_mul(100);
        let limit = u64::from(self.max).saturating_mul(100);
        for _ in 1..failures {
            hundredths = (hundredths.saturating_mul(self.exponent.into()) / 100).min(limit);
        }
        u16::try_from(hundredths.min(limit) / 100).unwrap_or(self.max)
    }
}

structure! {
    /// A layer of protection.
    ProtectionParameters<'a> "structure of protection parameters" {
        /// What is done.
        protection_type: ProtectionType,
        /// With which titles and key.
        options: ProtectionOptions<'a>,
    }
}

structure! {
    /// What a layer of protection is made with, as in general-ciphering.
    ProtectionOptions<'a> "structure of protection options" {
        /// Transaction identifier.
        transaction_id: &'a [u8],
        /// System title of the sender.
        originator_system_title: &'a [u8],
        /// System title of the receiver.
        recipient_system_title: &'a [u8],
        /// Other information.
        other_information: &'a [u8],
        /// The key.
        key_info: ProtectionKey<'a>,
    }
}

structure! {
    /// How the key of a layer of protection is found.
    ProtectionKey<'a> "structure of key information" {
        /// Kind of the key: 0 identified, 1 wrapped, 2 agreed.
        key_info_type: Enumerated,
        /// Identified: the key's identifier. Wrapped: key encrypting key and wrapped key. Agreed: the parameters of the
        /// agreement and the ciphered data of it.
        key_info_options: super::Any<'a>,
    }
}

structure! {
    /// When a server asks for confirmations.
    Confirmation "structure of confirmation parameters" {
        /// Data from this moment on has to be confirmed.
        start_date: Tagged,
        /// Seconds between two looks at what was not confirmed.
        interval: u32,
    }
}

enumeration! {
    /// How a push travels.
    TransportService "transport service" {
        /// TCP.
        Tcp = 0,
        /// UDP.
        Udp = 1,
        /// File transfer (FTP).
        Ftp = 2,
        /// E-mail (SMTP).
        Smtp = 3,
        /// Short message.
        Sms = 4,
        /// HDLC.
        Hdlc = 5,
        /// M-Bus.
        MBus = 6,
        /// ZigBee.
        ZigBee = 7,
        /// Through a DLMS gateway.
        Gateway = 8,
        /// CoAP with confirmable messages.
        CoapReliable = 9,
        /// CoAP with messages that are not confirmable.
        CoapUnreliable = 10,
    }
}

enumeration! {
    /// How a push is encoded.
    MessageType "message type" {
        /// As an APDU in A-XDR.
        AXdr = 0,
        /// As an APDU in XML.
        Xml = 1,
        /// The first of the manufacturers' own; DSMR uses it for text messages.
        Manufacturer = 128,
    }
}

enumeration! {
    /// When a push has succeeded.
    OperationMethod "push operation method" {
        /// Not confirmed; tried again when a lower layer fails.
        UnconfirmedOnFailure = 0,
        /// Not confirmed; tried again when a lower layer does not confirm it.
        UnconfirmedOnMissingConfirmation = 1,
        /// Confirmed by the receiver.
        Confirmed = 2,
    }
}

enumeration! {
    /// What a layer of protection does.
    ProtectionType "protection type" {
        /// Adds an authentication tag.
        Authentication = 0,
        /// Enciphers.
        Encryption = 1,
        /// Both.
        AuthenticatedEncryption = 2,
        /// Signs.
        Signature = 3,
    }
}
