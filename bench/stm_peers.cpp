// SPDX-License-Identifier: Apache-2.0
//
// Transactions per second of three stores that Auxin's stable memory can be compared with, on the
// same tmpfs and under the same promise: a transaction is whole or absent after the process dies;
// nothing is promised for the machine.
//
// What one transaction does is its shape (stm_workload.h). One thread. The same seed gives each
// peer, and stm_bench, the same objects and the same values.
//
// Each peer is used as its experts would, with what was measured to be fastest:
//   pmemobj  undo log: snapshot in place, memcpy, commit; without setjmp; neither msync nor flush.
//   lmdb     one write transaction of mdb_put on an MDB_INTEGERKEY table, MDB_NOSYNC|MDB_WRITEMAP.
//   sqlite   a prepared UPDATE, WAL, synchronous=OFF, one connection that keeps its locks.
//
// Afterwards the store is closed and opened again, and every object must hold what was last written
// to it.
//
// Exit status: 0; 1 if a peer fails or an object is wrong; 2 for wrong arguments.
#include <dlfcn.h>
#include <errno.h>
#include <getopt.h>
#include <libpmemobj.h>
#include <lmdb.h>
#include <math.h>
#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "bench/stm_workload.h"

namespace {

using namespace auxin::bench;

enum class Open { kCreate, kExisting };

// A peer is made with Open::kCreate and all objects zero, or opened as it was left.
//   transact(writes)      one transaction
//   holds(object, bytes)  whether the object has these bytes and no others
//   library()             name and version

// The objects are one array in the pool's root.
class PmemobjPeer {
 public:
  PmemobjPeer(const std::string& directory, const Shape& shape, Open how) : shape_(shape) {
    const std::string path = directory + "/pool";
    pool_ = how == Open::kCreate ? pmemobj_create(path.c_str(), "stm_peers", kStoreBytes, 0600)
                                 : pmemobj_open(path.c_str(), "stm_peers");
    if (pool_ == nullptr) fail("%s: %s", path.c_str(), pmemobj_errormsg());
    const PMEMoid root = pmemobj_root(pool_, size_t{kObjects} * shape.object_bytes + kLine);
    if (OID_IS_NULL(root)) fail("pmemobj_root: %s", pmemobj_errormsg());
    // New memory is zero. Aligned, so that an object of 64 bytes is one cache line.
    const auto begin = reinterpret_cast<uintptr_t>(pmemobj_direct(root));
    objects_ = reinterpret_cast<char*>((begin + kLine - 1) / kLine * kLine);
  }
  PmemobjPeer(const PmemobjPeer&) = delete;
  PmemobjPeer& operator=(const PmemobjPeer&) = delete;
  ~PmemobjPeer() { pmemobj_close(pool_); }

  // libpmem looks at its environment when it is loaded, which is before main: set it, start again.
  static void prepare(char** argv) {
    // No msync; no clwb; no stores around the caches, which would nearly halve its speed; and
    // libc's memcpy in their place rather than a loop of words. Process death needs none of it.
    constexpr const char* kNames[] = {"PMEM_IS_PMEM_FORCE", "PMEM_NO_FLUSH", "PMEM_NO_MOVNT",
                                      "PMEM_NO_GENERIC_MEMCPY"};
    bool all_set = true;
    for (const char* name : kNames) {
      const char* value = getenv(name);
      if (value != nullptr && strcmp(value, "1") == 0) continue;
      all_set = false;
      if (setenv(name, "1", 1) != 0) fail("setenv: %s", strerror(errno));
    }
    if (all_set) return;
    execv("/proc/self/exe", argv);
    fail("cannot start again: %s", strerror(errno));
  }

  void transact(const Write* writes) {
    if (pmemobj_tx_begin(pool_, nullptr, TX_PARAM_NONE) != 0) fail_with("pmemobj_tx_begin");
    for (uint32_t n = 0; n < shape_.writes; ++n) {
      char* object = objects_ + size_t{writes[n].object} * shape_.object_bytes;
      if (pmemobj_tx_xadd_range_direct(object, shape_.object_bytes, kAddFlags) != 0) {
        fail_with("pmemobj_tx_xadd_range_direct");
      }
      memcpy(object, writes[n].bytes, shape_.object_bytes);
    }
    pmemobj_tx_commit();
    if (pmemobj_tx_end() != 0) fail_with("pmemobj_tx_end");
  }

  bool holds(uint32_t object, const char* bytes) {
    return memcmp(objects_ + size_t{object} * shape_.object_bytes, bytes, shape_.object_bytes) == 0;
  }

  // The interface has no patch level, but the file of the loaded library carries it.
  static std::string library() {
    std::string version = "(version unknown)";
    Dl_info info;
    if (dladdr(reinterpret_cast<void*>(&pmemobj_tx_commit), &info) != 0) {
      std::ifstream file(info.dli_fname, std::ios::binary);
      const std::string bytes{std::istreambuf_iterator<char>(file), {}};
      constexpr std::string_view kMark = "src version: ";
      const size_t at = bytes.find(kMark);
      if (at != std::string::npos) version = bytes.c_str() + at + kMark.size();
    }
    return "libpmemobj " + version;
  }

 private:
  static constexpr size_t kLine = 64;
  // With the snapshot; without walking the ranges to flush at commit, as PMEM_NO_FLUSH has it.
  static constexpr uint64_t kAddFlags = POBJ_XADD_ASSUME_INITIALIZED | POBJ_XADD_NO_FLUSH;

  [[noreturn]] static void fail_with(const char* what) { fail("%s: %s", what, pmemobj_errormsg()); }

  const Shape shape_;
  PMEMobjpool* pool_;
  char* objects_;
};

class LmdbPeer {
 public:
  LmdbPeer(const std::string& directory, const Shape& shape, Open how) : shape_(shape) {
    check(mdb_env_create(&environment_), "mdb_env_create");
    check(mdb_env_set_mapsize(environment_, kStoreBytes), "mdb_env_set_mapsize");
    check(mdb_env_open(environment_, directory.c_str(), MDB_NOSYNC | MDB_WRITEMAP, 0600),
          "mdb_env_open");
    MDB_txn* transaction = begin(0);
    check(mdb_dbi_open(transaction, nullptr, MDB_CREATE | MDB_INTEGERKEY, &table_), "mdb_dbi_open");
    if (how == Open::kCreate) {
      const std::string zero(shape.object_bytes, '\0');
      for (uint32_t object = 0; object < kObjects; ++object) {
        put(transaction, {object, zero.data()}, MDB_APPEND);
      }
    }
    check(mdb_txn_commit(transaction), "mdb_txn_commit");
  }
  LmdbPeer(const LmdbPeer&) = delete;
  LmdbPeer& operator=(const LmdbPeer&) = delete;
  ~LmdbPeer() { mdb_env_close(environment_); }

  static void prepare(char**) {}

  void transact(const Write* writes) {
    MDB_txn* transaction = begin(0);
    for (uint32_t n = 0; n < shape_.writes; ++n) put(transaction, writes[n], 0);
    check(mdb_txn_commit(transaction), "mdb_txn_commit");
  }

  bool holds(uint32_t object, const char* bytes) {
    MDB_txn* transaction = begin(MDB_RDONLY);
    MDB_val key{sizeof object, &object};
    MDB_val value;
    check(mdb_get(transaction, table_, &key, &value), "mdb_get");
    const bool same = value.mv_size == shape_.object_bytes &&
                      memcmp(value.mv_data, bytes, shape_.object_bytes) == 0;
    mdb_txn_abort(transaction);
    return same;
  }

  static std::string library() {
    int major, minor, patch;
    mdb_version(&major, &minor, &patch);
    return "liblmdb " + std::to_string(major) + "." + std::to_string(minor) + "." +
           std::to_string(patch);
  }

 private:
  static void check(int result, const char* what) {
    if (result != 0) fail("%s: %s", what, mdb_strerror(result));
  }

  MDB_txn* begin(unsigned flags) {
    MDB_txn* transaction;
    check(mdb_txn_begin(environment_, nullptr, flags, &transaction), "mdb_txn_begin");
    return transaction;
  }

  void put(MDB_txn* transaction, Write write, unsigned flags) {
    MDB_val key{sizeof write.object, &write.object};
    MDB_val value{shape_.object_bytes, const_cast<char*>(write.bytes)};
    check(mdb_put(transaction, table_, &key, &value, flags), "mdb_put");
  }

  const Shape shape_;
  MDB_env* environment_;
  MDB_dbi table_;
};

class SqlitePeer {
 public:
  SqlitePeer(const std::string& directory, const Shape& shape, Open how) : shape_(shape) {
    const std::string path = directory + "/database";
    check(sqlite3_open_v2(path.c_str(), &database_,
                          SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                          nullptr));
    // Small pages for small rows, in which an object of 1024 bytes still fits whole; all pages
    // cached; no lock calls, and the log's index in the heap; a checkpoint for so many pages of
    // log.
    run("PRAGMA page_size=2048");
    run("PRAGMA locking_mode=EXCLUSIVE");
    run("PRAGMA journal_mode=WAL");
    run("PRAGMA synchronous=OFF");
    run("PRAGMA cache_size=-65536");
    run("PRAGMA wal_autocheckpoint=10000");
    if (how == Open::kCreate) {
      run("CREATE TABLE t (id INTEGER PRIMARY KEY, v BLOB NOT NULL)");
      run("BEGIN");
      const std::string zero(shape.object_bytes, '\0');
      sqlite3_stmt* insert = prepare_statement("INSERT INTO t (v, id) VALUES (?, ?)");
      for (uint32_t object = 0; object < kObjects; ++object) put(insert, {object, zero.data()});
      sqlite3_finalize(insert);
      run("COMMIT");
    }
    begin_ = prepare_statement("BEGIN IMMEDIATE");
    commit_ = prepare_statement("COMMIT");
    update_ = prepare_statement("UPDATE t SET v=? WHERE id=?");
    select_ = prepare_statement("SELECT v FROM t WHERE id=?");
  }
  SqlitePeer(const SqlitePeer&) = delete;
  SqlitePeer& operator=(const SqlitePeer&) = delete;
  ~SqlitePeer() {
    for (sqlite3_stmt* statement : {begin_, commit_, update_, select_}) sqlite3_finalize(statement);
    sqlite3_close(database_);
  }

  // One thread and nobody who asks how much memory is in use.
  static void prepare(char**) {
    sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
  }

  // A statement alone is a transaction.
  void transact(const Write* writes) {
    if (shape_.writes > 1) step(begin_);
    for (uint32_t n = 0; n < shape_.writes; ++n) put(update_, writes[n]);
    if (shape_.writes > 1) step(commit_);
  }

  bool holds(uint32_t object, const char* bytes) {
    check(sqlite3_bind_int64(select_, 1, object));
    if (sqlite3_step(select_) != SQLITE_ROW) fail("sqlite: object %u is gone", object);
    const void* found = sqlite3_column_blob(select_, 0);
    const bool same =
        static_cast<uint32_t>(sqlite3_column_bytes(select_, 0)) == shape_.object_bytes &&
        memcmp(found, bytes, shape_.object_bytes) == 0;
    check(sqlite3_reset(select_));
    return same;
  }

  static std::string library() { return std::string("libsqlite3 ") + sqlite3_libversion(); }

 private:
  void check(int result) {
    if (result != SQLITE_OK) fail("sqlite: %s", sqlite3_errmsg(database_));
  }

  void run(const char* statement) {
    check(sqlite3_exec(database_, statement, nullptr, nullptr, nullptr));
  }

  sqlite3_stmt* prepare_statement(const char* text) {
    sqlite3_stmt* statement;
    check(sqlite3_prepare_v3(database_, text, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr));
    return statement;
  }

  void step(sqlite3_stmt* statement) {
    if (sqlite3_step(statement) != SQLITE_DONE) fail("sqlite: %s", sqlite3_errmsg(database_));
    check(sqlite3_reset(statement));
  }

  void put(sqlite3_stmt* statement, Write write) {
    check(sqlite3_bind_blob(statement, 1, write.bytes, static_cast<int>(shape_.object_bytes),
                            SQLITE_STATIC));
    check(sqlite3_bind_int64(statement, 2, write.object));
    step(statement);
  }

  const Shape shape_;
  sqlite3* database_;
  sqlite3_stmt* begin_;
  sqlite3_stmt* commit_;
  sqlite3_stmt* update_;
  sqlite3_stmt* select_;
};

struct Arguments {
  std::string_view peer;
  const Shape* shape = nullptr;
  std::string directory;
  double seconds = 0;
  uint64_t seed = 1;
};

template <typename Peer>
void measure(const Arguments& arguments, char** argv) {
  Peer::prepare(argv);
  static const TemporaryDirectory directory(arguments.directory);
  const Shape& shape = *arguments.shape;
  Workload workload(shape, arguments.seed);
  Count warm_up, count;
  {
    Peer peer(directory.path(), shape, Open::kCreate);
    warm_up = run_for(peer, workload, kWarmUpSeconds);
    count = run_for(peer, workload, arguments.seconds);
  }
  Peer peer(directory.path(), shape, Open::kExisting);
  verify(peer, shape, arguments.seed, warm_up.transactions + count.transactions);
  const auto transactions = static_cast<double>(count.transactions);
  printf(
      "{\"peer\": \"%s\", \"shape\": \"%s\", \"transactions\": %llu, \"seconds\": %.6f, "
      "\"per_second\": %.1f, \"nanoseconds\": %.1f, \"library\": \"%s\"}\n",
      arguments.peer.data(), shape.name, static_cast<unsigned long long>(count.transactions),
      count.seconds, transactions / count.seconds, count.seconds * 1e9 / transactions,
      Peer::library().c_str());
}

constexpr struct {
  const char* name;
  void (*measure)(const Arguments&, char** argv);
} kPeers[] = {
    {"pmemobj", measure<PmemobjPeer>},
    {"lmdb", measure<LmdbPeer>},
    {"sqlite", measure<SqlitePeer>},
};

[[noreturn]] void usage() {
  fputs(
      "usage: stm_peers --peer pmemobj|lmdb|sqlite --shape 64|1k|10k --directory DIR "
      "--seconds S [--seed N]\n",
      stderr);
  exit(2);
}

Arguments parse(int argc, char** argv) {
  const option options[] = {
      {"peer", required_argument, nullptr, 'p'},      {"shape", required_argument, nullptr, 's'},
      {"directory", required_argument, nullptr, 'd'}, {"seconds", required_argument, nullptr, 't'},
      {"seed", required_argument, nullptr, 'r'},      {nullptr, 0, nullptr, 0}};
  Arguments arguments;
  for (int got; (got = getopt_long(argc, argv, "", options, nullptr)) != -1;) {
    char* end = nullptr;
    switch (got) {
      case 'p':
        arguments.peer = optarg;
        break;
      case 's':
        arguments.shape = shape_named(optarg);
        break;
      case 'd':
        arguments.directory = optarg;
        break;
      case 't':
        arguments.seconds = strtod(optarg, &end);
        if (end == optarg || *end != '\0') usage();
        break;
      case 'r':
        arguments.seed = strtoull(optarg, &end, 0);
        if (end == optarg || *end != '\0') usage();
        break;
      default:
        usage();
    }
  }
  if (optind != argc || arguments.shape == nullptr || arguments.directory.empty() ||
      !isfinite(arguments.seconds) || arguments.seconds <= 0) {
    usage();
  }
  return arguments;
}

}  // namespace

int main(int argc, char** argv) {
  const Arguments arguments = parse(argc, argv);
  for (const auto& peer : kPeers) {
    if (arguments.peer == peer.name) {
      peer.measure(arguments, argv);
      return 0;
    }
  }
  usage();
}
