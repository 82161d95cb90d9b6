// SPDX-License-Identifier: Apache-2.0
//
// Goal: entities/FORMAT.md says what the code writes. Method: its worked examples, computed; its
// tables and numbers against the code's own.
#include <gtest/gtest.h>
#include <string.h>

#include "stmemu/document_example.h"
#include "stmemu/entities/records.h"
#include "stmemu/entities/wire.h"

namespace auxin::stm {
namespace {

using Fields = std::vector<Field>;

// "name (kind 5, type 1, 112 bytes)": the heading of a record's table.
template <typename Record>
Fields record(const std::string& name, ObjectKind kind, uint32_t type) {
  return table(AUXIN_ENTITY_FORMAT_DOCUMENT,
               name + " (kind " + std::to_string(static_cast<int>(kind)) + ", type " +
                   std::to_string(type) + ", " + std::to_string(sizeof(Record)) + " bytes)");
}

template <typename Record>
Fields part(const std::string& name) {
  return table(AUXIN_ENTITY_FORMAT_DOCUMENT,
               name + " (" + std::to_string(sizeof(Record)) + " bytes)");
}

TEST(EntityFormat, TheDocumentsMemoryObjectsAndTasksAreTheRecords) {
  EXPECT_EQ(record<MemoryObjectRecord>("Memory object", ObjectKind::kMemoryObject, 0),
            (Fields{AUXIN_FIELD(MemoryObjectRecord, reference),
                    AUXIN_FIELD(MemoryObjectRecord, quota_pages),
                    AUXIN_FIELD(MemoryObjectRecord, task),
                    AUXIN_FIELD(MemoryObjectRecord, reserved),
                    AUXIN_FIELD(MemoryObjectRecord, name)}));
  EXPECT_EQ(record<TaskRecord>("Task", ObjectKind::kTask, kTaskRecordType),
            (Fields{AUXIN_FIELD(TaskRecord, reference), AUXIN_FIELD(TaskRecord, memory_object),
                    AUXIN_FIELD(TaskRecord, rights), AUXIN_FIELD(TaskRecord, lease),
                    AUXIN_FIELD(TaskRecord, starts), AUXIN_FIELD(TaskRecord, state),
                    AUXIN_FIELD(TaskRecord, pid), AUXIN_FIELD(TaskRecord, reserved),
                    AUXIN_FIELD(TaskRecord, name), AUXIN_FIELD(TaskRecord, entry)}));
  EXPECT_EQ(record<TaskRights>("Task rights", ObjectKind::kTask, kTaskRightsType),
            (Fields{AUXIN_FIELD(TaskRights, count), AUXIN_FIELD(TaskRights, capacity)}));
  EXPECT_EQ(part<TaskRight>("Task right"),
            (Fields{AUXIN_FIELD(TaskRight, port), AUXIN_FIELD(TaskRight, rights)}));
  EXPECT_EQ(record<TaskLease>("Task lease", ObjectKind::kTask, kTaskLeaseType),
            (Fields{AUXIN_FIELD(TaskLease, task)}));
}

TEST(EntityFormat, TheDocumentsPortsAndMessagesAreTheRecords) {
  EXPECT_EQ(record<PortRecord>("Port", ObjectKind::kPort, kPortRecordType),
            (Fields{AUXIN_FIELD(PortRecord, reference), AUXIN_FIELD(PortRecord, tail),
                    AUXIN_FIELD(PortRecord, head), AUXIN_FIELD(PortRecord, longest_queue),
                    AUXIN_FIELD(PortRecord, receiver), AUXIN_FIELD(PortRecord, remote),
                    AUXIN_FIELD(PortRecord, link), AUXIN_FIELD(PortRecord, reserved),
                    AUXIN_FIELD(PortRecord, name)}));
  EXPECT_EQ(record<PortTail>("Port tail", ObjectKind::kPort, kPortTailType),
            (Fields{AUXIN_FIELD(PortTail, node), AUXIN_FIELD(PortTail, sent)}));
  EXPECT_EQ(record<PortHead>("Port head", ObjectKind::kPort, kPortHeadType),
            (Fields{AUXIN_FIELD(PortHead, node), AUXIN_FIELD(PortHead, received)}));
  EXPECT_EQ(record<PortNode>("Port node", ObjectKind::kPort, kPortNodeType),
            (Fields{AUXIN_FIELD(PortNode, next), AUXIN_FIELD(PortNode, message)}));
  EXPECT_EQ(record<MessageHead>("Message", ObjectKind::kMessage, kMessageType),
            (Fields{AUXIN_FIELD(MessageHead, size_bytes), AUXIN_FIELD(MessageHead, remote),
                    AUXIN_FIELD(MessageHead, ports), AUXIN_FIELD(MessageHead, reserved)}));
  EXPECT_EQ(part<MessagePort>("Port in a message"),
            (Fields{AUXIN_FIELD(MessagePort, port), AUXIN_FIELD(MessagePort, offset),
                    AUXIN_FIELD(MessagePort, right)}));
}

TEST(EntityFormat, TheDocumentsLinksAreTheRecords) {
  EXPECT_EQ(record<LinkRecord>("Link", ObjectKind::kPort, kLinkRecordType),
            (Fields{AUXIN_FIELD(LinkRecord, reference), AUXIN_FIELD(LinkRecord, token),
                    AUXIN_FIELD(LinkRecord, out), AUXIN_FIELD(LinkRecord, sent),
                    AUXIN_FIELD(LinkRecord, received), AUXIN_FIELD(LinkRecord, reserved),
                    AUXIN_FIELD(LinkRecord, name)}));
  EXPECT_EQ(record<LinkSent>("Link sent", ObjectKind::kPort, kLinkSentType),
            (Fields{AUXIN_FIELD(LinkSent, sequence), AUXIN_FIELD(LinkSent, peer_token)}));
  EXPECT_EQ(record<LinkReceived>("Link received", ObjectKind::kPort, kLinkReceivedType),
            (Fields{AUXIN_FIELD(LinkReceived, sequence), AUXIN_FIELD(LinkReceived, peer_token),
                    AUXIN_FIELD(LinkReceived, dropped), AUXIN_FIELD(LinkReceived, reserved)}));
}

TEST(EntityFormat, TheDocumentsFramesAreTheRecords) {
  EXPECT_EQ(part<FrameHead>("Frame head"),
            (Fields{AUXIN_FIELD(FrameHead, magic), AUXIN_FIELD(FrameHead, version),
                    AUXIN_FIELD(FrameHead, type), AUXIN_FIELD(FrameHead, sequence),
                    AUXIN_FIELD(FrameHead, target), AUXIN_FIELD(FrameHead, size_bytes),
                    AUXIN_FIELD(FrameHead, ports), AUXIN_FIELD(FrameHead, reserved),
                    AUXIN_FIELD(FrameHead, name), AUXIN_FIELD(FrameHead, checksum)}));
  EXPECT_EQ(part<FramePort>("Port in a frame"),
            (Fields{AUXIN_FIELD(FramePort, port), AUXIN_FIELD(FramePort, offset),
                    AUXIN_FIELD(FramePort, whose)}));
}

TEST(EntityFormat, TheDocumentsNumbersAreTheCodes) {
  const auto says = [](const char* document, const std::string& words) {
    return text_of(document).find(words) != std::string::npos;
  };
  const auto number = [](auto value) { return std::to_string(static_cast<uint64_t>(value)); };
  EXPECT_TRUE(says(AUXIN_MEMORY_FORMAT_DOCUMENT,
                   "| " + number(ObjectKind::kMemoryObject) + ", " + number(ObjectKind::kPort) +
                       ", " + number(ObjectKind::kTask) + " | memory objects, ports, tasks"));
  EXPECT_TRUE(says(AUXIN_MEMORY_FORMAT_DOCUMENT, "| " + number(kLinkNames) + " | links |"));
  EXPECT_TRUE(says(AUXIN_ENTITY_FORMAT_DOCUMENT,
                   "up to " + number(kLongestMessage >> 20) + " MiB; other types: 0"));
  EXPECT_TRUE(says(AUXIN_ENTITY_FORMAT_DOCUMENT,
                   "up to " + number(kMostPortsInAMessage) + "; other types: 0"));
  EXPECT_TRUE(says(AUXIN_ENTITY_FORMAT_DOCUMENT, "| version | " + number(kFrameVersion) + " |"));
  EXPECT_TRUE(says(AUXIN_ENTITY_FORMAT_DOCUMENT,
                   "`name` and\n`entry` are 0 to " + number(kLongestEntityName) + " bytes"));
}

TEST(EntityFormat, TheDocumentsExamplesAreWhatTheCodeWrites) {
  PortRecord port = {};
  port.reference = 0x5040 | uint64_t{0xabcdef} << 40;
  port.tail = 0x6010;
  port.head = 0x6020;
  port.longest_queue = 1024;
  port.receiver = kTheNode;
  memcpy(port.name, "accounts", 8);
  EXPECT_EQ(record_address(port.reference), 0x5040u);
  EXPECT_EQ(hex(&port, sizeof(port)), example(AUXIN_ENTITY_FORMAT_DOCUMENT, "port"));

  constexpr uint64_t kSender = 0x123456000000a040;
  Frame frame;
  frame.type = FrameType::kMessage;
  frame.sequence = 17;
  frame.name = "accounts";
  frame.ports = {{kSender, 8, FramePort::kSenders}};
  frame.bytes.resize(16);
  memcpy(frame.bytes.data(), "balance=", 8);
  memcpy(frame.bytes.data() + 8, &kSender, sizeof(kSender));
  const std::vector<char> packed = pack_frame(frame);
  EXPECT_EQ(hex(packed.data(), packed.size()), example(AUXIN_ENTITY_FORMAT_DOCUMENT, "frame"));
}

}  // namespace
}  // namespace auxin::stm
