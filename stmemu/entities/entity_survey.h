// SPDX-License-Identifier: Apache-2.0
//
// Which stable entities are in a memory, by looking only, as survey.h does: nothing is claimed,
// stored or mended, so it can be done while others use the memory, and of a memory that is damaged.
//
// What is told was committed. Of entities that change meanwhile, each record is one that was there,
// but not all of them at the same time.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "stmemu/entities/records.h"
#include "stmemu/transaction/survey.h"

namespace auxin::stm {

// `lost`: the record is damaged in both banks; nothing but name and address is known, from the
// catalogue. (One without a name is then only damage, to survey().)
struct SurveyedEntity {
  std::string name;
  uint64_t address = 0;  // of the record
  bool lost = false;
};

struct SurveyedMemoryObject : SurveyedEntity {
  uint64_t quota_pages = 0;
  uint64_t pages = 0;  // it has now
  uint64_t objects = 0, object_bytes = 0;
  std::string task;    // whose private memory it is
};

// How many messages went in and out. Not `known`: what says so is damaged.
struct SurveyedQueue {
  bool known = false;
  uint64_t sent = 0, received = 0;
  uint64_t waiting() const { return sent > received ? sent - received : 0; }
};

struct SurveyedPort : SurveyedEntity {
  enum class Receiver : uint8_t { kNode, kTask, kMessage, kMessageServer };
  Receiver receiver = Receiver::kNode;
  std::string task;   // kTask: its name; empty if it is lost
  std::string link;   // of a proxy: its link's name; its messages wait there
  bool proxy = false;
  uint64_t longest_queue = 0;
  SurveyedQueue queue;
};

struct SurveyedTask : SurveyedEntity {
  enum class State : uint8_t { kReady, kRunning, kFinished };
  std::string entry;
  State state = State::kReady;
  uint64_t starts = 0;
  uint32_t pid = 0;           // of the last start
  std::string memory_object;  // its private one
};

struct SurveyedLink : SurveyedEntity {
  SurveyedQueue queue;  // of messages on their way out
  bool counts_known = false;
  uint64_t sent = 0, received = 0, dropped = 0;  // LinkSent, LinkReceived
};

struct EntitySurvey {
  std::vector<SurveyedMemoryObject> memory_objects;
  std::vector<SurveyedPort> ports;  // without the links' own queues
  std::vector<SurveyedTask> tasks;
  std::vector<SurveyedLink> links;
};

// Sees what survey() sees, and then tells.
class EntitySurveyor {
 public:
  explicit EntitySurveyor(PhysicalMemory& memory) : memory_(memory) {}

  void see(const ObjectSurvey& object);
  // Once, after survey(). In a memory that is in use it may take some milliseconds for each record
  // that is being changed or damaged.
  EntitySurvey tell();

 private:
  struct Count {
    uint64_t objects = 0, object_bytes = 0;
  };

  // What a look at a record finds: it; something else, soundly; or neither copy is good.
  enum class Found : uint8_t { kIt, kOther, kDamage };
  using Names = std::map<uint64_t, std::string>;

  template <typename Record>
  Found find(uint64_t address, ObjectKind kind, uint32_t type, Record* record);
  template <typename Record>
  bool look(uint64_t address, ObjectKind kind, uint32_t type, Record* record) {
    return find(address, kind, type, record) == Found::kIt;
  }
  template <typename Record, typename Told>
  bool look_at_entity(uint64_t address, ObjectKind kind, uint32_t type, Record* record,
                      std::vector<Told>* told);
  template <typename Record>
  std::string name_of(uint64_t reference, ObjectKind kind, uint32_t type);
  void add_names();
  bool is_held(uint64_t address) const;
  SurveyedQueue queue_of(const PortRecord& port);
  void tell_memory_objects(EntitySurvey* survey);
  void tell_tasks(EntitySurvey* survey);
  void tell_ports(EntitySurvey* survey);
  void tell_links(EntitySurvey* survey);

  PhysicalMemory& memory_;
  std::set<uint64_t> memory_objects_, ports_, tasks_, links_;  // addresses of records
  std::map<uint64_t, Count> realms_;
  std::set<uint64_t> decided_;  // headers: their transaction was committed, its copying cut short
  Names catalogue_names_;  // of entities, by address
};

}  // namespace auxin::stm
