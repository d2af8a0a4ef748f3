// The `resources:` section: how many crews, how many ranks each, on what.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cluster/hosts.h"
#include "cluster/placement.h"
#include "cluster/slurm.h"
#include "devices/core_assignment.h"
#include "experiment/node.h"

namespace regatta {

inline constexpr int kLanesThatFit = 0;  // `lanes: auto`

struct Resources {
  int crews = 1;
  int ranks = 1;                // a crew
  int threads = 1;              // a rank; by default the cores divided by all ranks
  int max_attempts = 3;         // a trial: lost crews before it counts as failed
  bool elastic = true;          // idle crews join others that train
  std::string device = "auto";  // auto, cpu, cuda: as the file says
  std::optional<int> gpus_a_crew;
  std::vector<int> gpus;  // which of the host's cards may be used; empty: all
  int ranks_per_gpu = 1;  // that may share a card, of one crew or of several
  // By crew, once settle_devices() has dealt them; empty: the ranks compute on CPUs.
  std::vector<std::vector<int>> cards;
  std::string why_cpus;  // where `auto` has left the host's cards alone: a sentence without an end
  // Trials that a crew trains at once, where their shapes are alike; kLanesThatFit: as its card has memory
  // for.
  int lanes = 1;
  bool trace = false;              // workers keep a timeline; not in the file, but of `regatta run --trace`
  std::string listen;              // as listening_address() takes it; empty: where the study's own crews are
  std::string wire = "fp32";       // how gradients travel between hosts: fp32, bf16, fp16
  std::string launcher = "auto";   // auto, mpirun, slurm: as the file says
  std::optional<SlurmRoom> slurm;  // crews are steps of this allocation; see settle_room()
  bool bind = true;                // ranks keep to cores of their own where there are enough: `bind: auto`
  // By slot, once settle_cores() has dealt them: what each rank may run on; empty: as the system chooses.
  std::vector<RankCpus> cpus;
  std::string why_unbound;  // a sentence without an end

  std::vector<HostSlots> hosts;     // empty: this host alone
  std::string agent;                // starts a command on another host; empty: ssh
  std::string interface;            // of the network between hosts: a name, or a network as 10.0.0.0/24
  std::vector<std::string> mpirun;  // more arguments for it
  // By slot, once settle_hosts() has placed them; empty: all crews are on this host.
  std::vector<CrewPlace> places;
  std::string address;  // of this host, by which the crews reach it; empty: they are on this host
  std::string crowded;  // where ranks want more cores than a host has: a sentence

  bool on_cards() const {
    const bool placed = !places.empty() && !places.front().empty() && !places.front().front().cards.empty();
    return placed || !cards.empty() || (slurm && slurm->gpus_a_node > 0);
  }
};

// Falls back to as many crews of one rank as there are cores; cores: of this machine.
Result<Resources> read_resources(const Node& node, int cores);

// The cards of this host, as this process sees them.
struct HostCards {
  std::string host;
  int count = 0;
  std::string why_none;
  std::vector<std::string> buses;  // by card, where they are known
};

// What `device` comes to here: `auto` takes the cards where there are some. Deals them to the crews, and
// where the file does not say how many crews and threads there are, it goes by the cards. `crews`: as many as
// there are in any case. Refuses `cuda` without cards, and more ranks than the cards may have;
// with `auto`, where the file speaks of no cards, these ranks compute on CPUs.
Status settle_devices(Resources& resources, const Node& node, const HostCards& host, int cores,
                      std::optional<int> crews = {});

// A sentence when all ranks with their threads want more than `cores`; nullopt when they fit.
std::optional<std::string> oversubscription_warning(const Resources& resources, int cores);

}  // namespace regatta
