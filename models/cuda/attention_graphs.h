// Attention as one operation graph in each direction, for a library that runs such a graph as one kernel and
// keeps no scores in memory. Dao et al. 2022, "FlashAttention", sections 3.1 and B; Dao 2023,
// "FlashAttention-2", section 2.3. For each row and head, with d features a head and T positions:
//
//   forward   S = Q Kᵀ / √d, and -∞ where position i does not see position j > i
//             m_i = max_j S_ij,  l_i = Σ_j exp(S_ij - m_i),  L_i = m_i + ln l_i
//             P_ij = exp(S_ij - m_i) / l_i,  O = P V
//   backward  D_i = Σ_k dO_ik O_ik,  P_ij = exp(S_ij - L_i),  dV = Pᵀ dO,  dP = dO Vᵀ
//             dS_ij = P_ij (dP_ij - D_i) / √d,  dK = dSᵀ Q,  dQ = dS K
//
// where dS is already the gradient of Q Kᵀ. D_i = Σ_j P_ij dP_ij, because O_i = Σ_j P_ij V_j. Between the two
// directions only O and L are kept.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "models/cuda/operation_graph.h"

namespace regatta {

// Heads are never brought apart: they are strided parts of the activations, which are bf16. In elements:
//   projected, and its gradient  [rows][positions][lanes][queries, keys, values][heads][size]
//   mixed, and its gradient      [rows][positions][lanes][heads][size]
//   statistics L                 [lanes] of f32 [rows][heads][positions], statistics_stride() from one on
//   row sums D                   f32 [rows][heads][positions], of one lane at a time
struct AttentionShape {
  std::int64_t rows = 0;
  std::int64_t positions = 0;
  std::int64_t lanes = 1;
  std::int64_t heads = 1;
  std::int64_t size = 0;  // features of a head
  bool causal = false;    // position i sees the positions up to i, not all

  std::int64_t features() const { return heads * size; }
  std::int64_t row_values() const { return rows * heads * positions; }
  std::int64_t statistics_stride() const { return (row_values() + 63) / 64 * 64; }
};
// "attention of 8 rows with 12 heads of 64 features over 1024 positions, causal"
std::string describe(const AttentionShape& shape);

// Fails with a sentence where cuDNN's documents rule its attention out: what its heuristics say is no proof,
// since they propose engines for a single position, too, whose backward direction the release notes exclude.
Status check_fusible(const AttentionShape& shape);

// The tensors by which the graphs meet memory; each direction names the same ones alike. Others, which never
// stand in memory, follow them.
enum class AttentionTensor : std::int64_t {
  queries = 1,
  keys,
  values,
  mixed,
  statistics,
  mixed_gradient,
  row_sums,
  query_gradient,
  key_gradient,
  value_gradient,
  count,
};

// Of one lane; address_of says where each lane's tensors begin.
OperationGraph attention_forward_graph(const AttentionShape& shape);
OperationGraph attention_backward_graph(const AttentionShape& shape);

// Where all lanes' memory begins; null: not used by this direction.
struct AttentionMemory {
  const void* projected = nullptr;
  void* mixed = nullptr;
  float* statistics = nullptr;
  const void* mixed_gradient = nullptr;
  float* row_sums = nullptr;
  void* projected_gradient = nullptr;
};
// Where a lane's tensor begins.
void* address_of(const AttentionShape& shape, const AttentionMemory& memory, std::int64_t tensor,
                 std::int64_t lane);

}  // namespace regatta
