import torch, copy
from histo_meta.equivariant import *
from histo_meta.config import build_model
torch.manual_seed(0)
m=build_model('p4m_resnet8')
for d in m.modules():
    if isinstance(d, torch.nn.Dropout): d.p=0.
print(sum(p.numel() for p in m.parameters())); print(m[1])
x=torch.randn(32,3,96,96); y=torch.arange(32)%2
ms=copy.deepcopy(m).double(); l=torch.nn.functional.cross_entropy(ms(x.double()),y); l.backward(); G={n:p.grad for n,p in ms.named_parameters()}
for label in ('cl','bf16'):
    m2=copy.deepcopy(m).to(memory_format=torch.channels_last)
    with torch.autocast('cpu',torch.bfloat16,enabled=label=='bf16'): o=m2(x.contiguous(memory_format=torch.channels_last))
    torch.nn.functional.cross_entropy(o.float(),y).backward()
    for n,p in m2.named_parameters():
        a,b=G[n].flatten(),p.grad.double().flatten(); 
        print(label,n,tuple(p.shape),'stride same',p.stride()==p.grad.stride(),'cos %.4f ratio %.4f'%(float(a@b/(a.norm()*b.norm()+1e-30)),float(b.norm()/(a.norm()+1e-30))), 'scale',float(a.norm()))
