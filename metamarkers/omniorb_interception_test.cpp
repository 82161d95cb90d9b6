// SPDX-License-Identifier: Apache-2.0
//
// The shipped maps against the stock libraries of this machine: every function of the omniORB map
// is found and intercepted, a real request passes the join points in their order, and the map's
// offsets lead from their arguments to the request id and the socket of the very connection it
// came on.
//
// The server is a shared object (samples/probe_server.cpp) in this process, the client a plain
// socket that sends GIOP bytes; so ids, ports and versions are known exactly.
#include <arpa/inet.h>
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <string>
#include <vector>

#include "metamarkers/elf_modules.h"
#include "metamarkers/interception.h"

using namespace auxin::markers;

namespace {

const std::string kMaps = AUXIN_MAPS_DIRECTORY;

struct Passed {
  std::string name;
  Role role;
  int depth;
  uint32_t request_id;  // through the map's offsets, where the role has them
  int socket;
};
std::mutex passed_lock;
std::vector<Passed> passed;

const JoinPointMap& omniorb_map() {
  static const LoadedMap* loaded = new LoadedMap(load_map(kMaps + "/omniorb-4.2.toml"));
  if (!loaded->error.empty()) ADD_FAILURE() << loaded->error;
  return loaded->map;
}

template <typename Field>
Field field(uint64_t object, const char* offset) {
  Field value;
  memcpy(&value, reinterpret_cast<const void*>(object + static_cast<uint64_t>(
                     *omniorb_map().offset(offset))), sizeof value);
  return value;
}

// From a GIOP_S, as the binding does it.
void look_into(uint64_t giop_s, Passed* what) {
  what->request_id = field<uint32_t>(giop_s, "giop_s.request_id");
  const auto strand = field<uint64_t>(giop_s, "giop_s.strand");
  const auto connection = field<uint64_t>(strand, "strand.connection");
  if (connection != 0) what->socket = field<int>(connection, "connection.socket");
}

// What the thread's dispatcher or request was passed with.
thread_local uint64_t giop_s_here = 0;

bool enter(const JoinPoint& join_point, Arguments&, uint64_t*) {
  const Marker* top = this_thread().top();
  Passed what{join_point.name, join_point.role, this_thread().depth(), 0, -1};
  if (join_point.role == Role::kRequest || join_point.role == Role::kDispatcher) {
    giop_s_here = top->argument;
    look_into(giop_s_here, &what);
  } else if (join_point.role == Role::kUpcall) {
    look_into(giop_s_here, &what);
  }
  const std::lock_guard<std::mutex> lock(passed_lock);
  passed.push_back(what);
  return true;
}

void leave(const JoinPoint& join_point, uint64_t) {
  if (join_point.role != Role::kOutputBegins) return;
  const uint64_t stream = this_thread().top()->argument;
  const uint64_t giop_s = stream - static_cast<uint64_t>(*omniorb_map().offset("giop_s.stream"));
  const auto marker = field<uint64_t>(stream, "stream.output_marker");
  const auto end = field<uint64_t>(stream, "stream.output_end");
  const std::lock_guard<std::mutex> lock(passed_lock);
  passed.push_back({marker < end && end - marker <= 8192 ? "output ready" : "output is wrong",
                    Role::kNone, 0, field<uint32_t>(giop_s, "giop_s.request_id"), -1});
}

struct Server {
  int (*start)(const char* object_key);  // returns its port
  void (*activate_and_deactivate)();
  void (*stop)();
};

// Loads the server, installs the map before the ORB is initialised, starts it.
const Server& server() {
  static const Server started = [] {
    void* handle = dlopen("libauxin_sample_probe_server.so", RTLD_NOW | RTLD_GLOBAL);
    if (handle == nullptr) {
      ADD_FAILURE() << dlerror();
      abort();
    }
    return Server{reinterpret_cast<int (*)(const char*)>(dlsym(handle, "probe_server_start")),
                  reinterpret_cast<void (*)()>(dlsym(handle, "probe_server_use_table")),
                  reinterpret_cast<void (*)()>(dlsym(handle, "probe_server_stop"))};
  }();
  return started;
}

TEST(OmniOrbMap, EveryJoinPointIsFoundInTheStockLibrary) {
  server();
  const Installed installed = install(omniorb_map());
  EXPECT_EQ(installed.missing_text(), "");
  EXPECT_EQ(installed.join_points, static_cast<int>(omniorb_map().join_points.size()));
  EXPECT_GE(installed.references, installed.join_points);
}

std::vector<std::string> loaded_modules() {
  std::vector<std::string> names;
  for_each_elf_module(
      [](const ElfModule& module, void* context) {
        static_cast<std::vector<std::string>*>(context)->push_back(module.name);
      },
      &names);
  return names;
}

TEST(OmniOrbMap, IsChosenOnceTheOrbIsLoaded) {
  server();
  const ChosenMaps chosen = choose_maps(kMaps, loaded_modules());
  EXPECT_EQ(chosen.error, "");
  ASSERT_EQ(chosen.maps.size(), 1u);
  EXPECT_EQ(chosen.maps[0].name, "omniorb-4.2");
}

TEST(OmniOrbMap, OffsetsAreThoseOfTheHeaders) {
  FILE* checker = popen(AUXIN_OMNIORB_OFFSETS, "re");
  ASSERT_NE(checker, nullptr);
  char name[64];
  long value = 0;
  size_t count = 0;
  while (fscanf(checker, "%63s = %ld", name, &value) == 2) {
    const int64_t* in_map = omniorb_map().offset(name);
    ASSERT_NE(in_map, nullptr) << name << " = " << value << " is not in the map";
    EXPECT_EQ(*in_map, value) << name;
    ++count;
  }
  EXPECT_EQ(pclose(checker), 0);
  EXPECT_EQ(count, omniorb_map().offsets.size()) << "the map has offsets that nobody checks";
  EXPECT_GT(count, 0u);
}

TEST(TangoMap, EveryJoinPointIsFoundInTheStockLibrary) {
  if (dlopen("libtango.so.9", RTLD_LAZY | RTLD_LOCAL) == nullptr) GTEST_SKIP() << dlerror();
  ChosenMaps* chosen = new ChosenMaps(choose_maps(kMaps, loaded_modules()));
  EXPECT_EQ(chosen->error, "");
  ASSERT_EQ(chosen->maps.size(), 2u);
  EXPECT_EQ(chosen->maps[0].name, "omniorb-4.2");  // the more general one first
  EXPECT_EQ(chosen->maps[1].name, "tango-9");
  EXPECT_EQ(install(chosen->maps[1]).missing_text(), "");
}

// --- a raw GIOP client ------------------------------------------------------------------------

class Client {
 public:
  explicit Client(int port) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  ~Client() { close(fd_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  bool connected() const { return connected_; }
  int own_port() const {
    sockaddr_in address{};
    socklen_t length = sizeof address;
    getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &length);
    return ntohs(address.sin_port);
  }

  // Sends a request for `_non_existent`; returns the reply's request id.
  uint32_t ask(int minor, uint32_t request_id, const std::string& key) {
    std::string body;
    if (minor >= 2) {
      word(&body, request_id);
      body += std::string("\3\0\0\0", 4);  // a reply is wanted
      word(&body, 0);                       // addressed by key
      text(&body, key, false);
      text(&body, "_non_existent", true);
      word(&body, 0);  // no service contexts
    } else {
      word(&body, 0);  // no service contexts
      word(&body, request_id);
      body += '\1';
      if (minor == 1) body += std::string("\0\0\0", 3);
      text(&body, key, false);
      text(&body, "_non_existent", true);
      word(&body, 0);  // no principal
    }
    exchange(minor, 0, body);
    return reply_word(minor >= 2 ? 0 : 4);
  }

  uint32_t locate(uint32_t request_id, const std::string& key) {
    std::string body;
    word(&body, request_id);
    word(&body, 0);
    text(&body, key, false);
    exchange(2, 3, body);
    return reply_word(0);
  }

 private:
  static void word(std::string* to, uint32_t value) {
    while (to->size() % 4 != 0) *to += '\0';
    to->append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  static void text(std::string* to, const std::string& value, bool terminated) {
    word(to, static_cast<uint32_t>(value.size() + (terminated ? 1 : 0)));
    *to += value;
    if (terminated) *to += '\0';
  }
  void exchange(int minor, char type, const std::string& body) {
    std::string message("GIOP\1", 5);
    message += static_cast<char>(minor);
    message += '\1';  // little-endian
    message += type;
    word(&message, static_cast<uint32_t>(body.size()));
    message += body;
    ASSERT_EQ(send(fd_, message.data(), message.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(message.size()));
    reply_.clear();
    receive(12);
    uint32_t size = 0;
    ASSERT_EQ(reply_.size(), 12u);
    memcpy(&size, reply_.data() + 8, sizeof size);
    receive(12 + size);
  }
  void receive(size_t until) {
    while (reply_.size() < until) {
      char chunk[512];
      const ssize_t count = recv(fd_, chunk, std::min(sizeof chunk, until - reply_.size()), 0);
      if (count <= 0) return;
      reply_.append(chunk, static_cast<size_t>(count));
    }
  }
  uint32_t reply_word(size_t offset) const {
    uint32_t value = 0;
    if (reply_.size() >= 16 + offset) memcpy(&value, reply_.data() + 12 + offset, sizeof value);
    return value;
  }

  int fd_;
  bool connected_ = false;
  std::string reply_;
};

int peer_port(int fd) {
  sockaddr_in address{};
  socklen_t length = sizeof address;
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) return -1;
  return ntohs(address.sin_port);
}

std::vector<Passed> take_passed(std::initializer_list<const char*> names) {
  const std::lock_guard<std::mutex> lock(passed_lock);
  std::vector<Passed> chosen;
  for (const Passed& what : passed) {
    for (const char* name : names) {
      if (what.name == name) chosen.push_back(what);
    }
  }
  passed.clear();
  return chosen;
}

class OmniOrbServer : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    server();
    ASSERT_EQ(install(omniorb_map()).missing_text(), "");
    set_actions({enter, leave});
    port = server().start("probe");
    ASSERT_GT(port, 0);
  }
  static void TearDownTestSuite() { server().stop(); }
  void SetUp() override { take_passed({}); }
  static int port;
};
int OmniOrbServer::port = 0;

TEST_F(OmniOrbServer, RequestsPassTheJoinPointsAndOffsetsLeadToIdAndSocket) {
  for (int minor = 0; minor <= 2; ++minor) {
    Client client(port);
    ASSERT_TRUE(client.connected());
    const uint32_t id = 4711 + static_cast<uint32_t>(minor);
    ASSERT_EQ(client.ask(minor, id, "probe"), id) << "GIOP 1." << minor;
    const std::vector<Passed> seen = take_passed({"request", "upcall", "output ready",
                                                  "output is wrong"});
    ASSERT_EQ(seen.size(), 3u);
    EXPECT_EQ(seen[0].name, "request");
    EXPECT_EQ(seen[1].name, "upcall");
    EXPECT_EQ(seen[2].name, "output ready");
    EXPECT_EQ(seen[0].depth, 2);  // inside the dispatcher
    EXPECT_EQ(seen[1].depth, 3);
    EXPECT_EQ(peer_port(seen[0].socket), client.own_port());
    EXPECT_EQ(peer_port(seen[1].socket), client.own_port());
    if (minor == 2) {
      EXPECT_EQ(seen[0].request_id, id);
    }
    EXPECT_EQ(seen[1].request_id, id);
    EXPECT_EQ(seen[2].request_id, id);
  }
}

TEST_F(OmniOrbServer, LocateRequestsPassTheirJoinPoint) {
  Client client(port);
  ASSERT_TRUE(client.connected());
  ASSERT_EQ(client.locate(99, "probe"), 99u);
  const std::vector<Passed> seen = take_passed({"request", "locate-request", "upcall"});
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen[0].name, "locate-request");
  EXPECT_EQ(peer_port(seen[0].socket), client.own_port());
}

TEST_F(OmniOrbServer, RequestForAnUnknownObjectLeavesNoMarkers) {
  Client client(port);
  ASSERT_TRUE(client.connected());
  for (uint32_t id = 1; id <= 20; ++id) {
    ASSERT_EQ(client.ask(2, id, "nobody"), id);  // an exception inside handleRequest
    const std::vector<Passed> seen = take_passed({"request", "upcall"});
    ASSERT_EQ(seen.size(), 1u);
    EXPECT_EQ(seen[0].depth, 2);
  }
}

TEST_F(OmniOrbServer, UseOfTheObjectTableIsOneContentionPoint) {
  server().activate_and_deactivate();
  const std::vector<Passed> seen = take_passed({"object-table", "adapter-tree", "value-source",
                                                "recursive-mutex", "calls-back"});
  size_t releases = 0;
  std::vector<std::string> names;
  for (const Passed& what : seen) {
    if (what.role == Role::kContentionEnds) {
      ++releases;
    } else {
      names.push_back(what.name);
    }
  }
  EXPECT_GT(releases, 0u) << "deactivation lets go of the servant";
  // create_POA(SINGLE_THREAD) with its unique id and lock; then activate, _this, servant_to_id,
  // deactivate, and the failing second deactivation.
  EXPECT_EQ(names, (std::vector<std::string>{"adapter-tree", "value-source", "recursive-mutex",
                                             "object-table", "object-table", "object-table",
                                             "object-table", "object-table"}));
  EXPECT_EQ(this_thread().depth(), 0);
}

}  // namespace
