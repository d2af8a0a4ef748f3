// Points as coordinates whose squared distances a kernel can use: conditional parameters are part of them, so
// that nothing is drawn at random beside a model.
//
// Every parameter is a group of coordinates. A number is one: its place in the unit interval (log first). A
// choice is one-hot, so that two different ones are at squared distance 1. A conditional parameter has one
// more, which tells whether it is active, and its other coordinates are zero where it is not: two inactive
// ones are at no distance, an inactive and an active one at the distance kInactive or a little more. All
// distances are Euclidean, so that kernels stay positive definite (compare Hutter and Osborne, "A kernel for
// hierarchical parameter spaces", arXiv:1310.5738, 2013).
#pragma once

#include <Eigen/Core>
#include <vector>

#include "experiment/space.h"

namespace regatta {

// Which coordinates share a length scale: coordinates of a group are neighbours, groups in rising order.
struct FeatureLayout {
  std::vector<int> group;  // a coordinate
  int groups = 0;

  Eigen::Index coordinates() const { return static_cast<Eigen::Index>(group.size()); }
  // One more number, such as the epoch, after the features of a point.
  void add_number();
};

class FeatureMap {
 public:
  static constexpr double kInactive = 0.5;

  explicit FeatureMap(const Space& space);  // the space must outlive this

  const FeatureLayout& layout() const { return layout_; }
  Eigen::VectorXd features(const Point& point) const;

  // The coordinate that moves with parameter `index`'s unit coordinate, one for one; for choices -1.
  Eigen::Index number_coordinate(std::size_t index) const { return number_[index]; }
  // What that coordinate is at `unit`.
  double number_feature(std::size_t index, double unit) const;

 private:
  const Space* space_;
  FeatureLayout layout_;
  std::vector<Eigen::Index> first_;   // a parameter's first coordinate
  std::vector<Eigen::Index> number_;  // see number_coordinate()
};

}  // namespace regatta
