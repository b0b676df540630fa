from typing import Any
class _S: 
    joined=None
Plan=Sketch=Sketches=FeatureMap=Any
affine_sketch=draw_patches=patches=draw_flat=flat=activate=draw_activation=shapes=None
